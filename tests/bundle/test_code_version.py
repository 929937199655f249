"""The version of the running code names its commit, where git knows it."""

from __future__ import annotations

import subprocess
from importlib.metadata import version

import pytest

from camoe.bundle.code_version import code_version

UNKNOWN = f"{version('camoe')}, commit unknown"


def git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def package(tmp_path):
    """A package in a checkout of its own."""
    folder = tmp_path / "checkout/package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    git(folder.parent, "init", "-q")
    git(folder.parent, "add", ".")
    git(folder.parent, "commit", "-q", "-m", "first")
    git(folder.parent, "tag", "v1")
    return folder


def test_the_commit_and_whether_files_were_changed_since(package):
    commit = git(package, "rev-parse", "HEAD")[:12]
    assert code_version(package) == f"{version('camoe')}, commit {commit}"
    (package / "__init__.py").write_text("changed = True")
    assert code_version(package) == f"{version('camoe')}, commit {commit}-dirty"


def test_a_package_that_git_does_not_have_is_of_no_commit_whatever_lies_around_it(package):
    installed = package / "site-packages/other"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert code_version(installed) == UNKNOWN
    assert code_version(package / "nowhere") == UNKNOWN


def test_without_git_the_commit_is_unknown(package, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert code_version(package) == UNKNOWN
