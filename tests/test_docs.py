"""The pages name what is there: their links, the paths and the make targets in them, and the length of the README."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tools.config_reference import ACTS, PAGE, reference

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")
CODE = re.compile(r"`([^`\n]+)`|^```.*?^```", re.DOTALL | re.MULTILINE)
PATH = re.compile(r"(?<![\w./{*-])(?:camoe|features|jobs|conf|bench|tests|tools|docs|examples)/[\w./*-]*\w")
# A path from within one of the packages' folders.
SHORT = re.compile(r"^(?:[a-z]\w*/)+\w+\.py$")
# Files that a reader makes.
MADE = "mine.yaml"
README_LINES = 130


def name(page):
    return str(page.relative_to(ROOT))


def words(page):
    """The words of the page that stand as code."""
    return " ".join(match.group(0).strip("`") for match in CODE.finditer(page.read_text())).split()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_to_a_file(page):
    missing = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_of_the_project_is_there(page):
    found = {path for word in words(page) for path in PATH.findall(word) if not path.endswith(MADE)}
    assert not [path for path in sorted(found) if not list(ROOT.glob(path))]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_shortened_path_is_that_of_one_file(page):
    files = [str(path.relative_to(ROOT)) for top in ("camoe", "features") for path in (ROOT / top).rglob("*.py")]
    short = {word for word in words(page) if SHORT.match(word) and not (ROOT / word).exists()}
    assert not [path for path in sorted(short) if not any(file.endswith(f"/{path}") for file in files)]


def test_every_make_target_that_a_page_names_is_one():
    targets = set(re.findall(r"^([\w.$()/-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {".venv/.ready"}
    pages = " ".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([\w./-]+)", pages, re.MULTILINE))
    assert len(named) > 4
    assert named <= targets


def test_the_reference_of_the_keys_is_that_of_the_code():
    assert PAGE.read_text() == reference(), "run python tools/config_reference.py"
    assert not [key for key in ACTS if f"| `{key}` |" not in reference()]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < README_LINES


def test_the_image_is_named_after_the_version_of_the_project():
    texts = [path.read_text() for path in (ROOT / "Dockerfile", ROOT / "conf/spark/kubernetes.conf", *PAGES)]
    tags = [tag for text in texts for tag in re.findall(r"camoe:(\d+\.\d+\.\d+)", text)]
    assert len(tags) > 2
    assert set(tags) == {version("camoe")}


def test_no_module_states_a_version():
    modules = [path for top in ("camoe", "features", "jobs") for path in (ROOT / top).rglob("*.py")]
    assert not [path for path in modules if "__version__ =" in path.read_text()]
