"""The code that is running: the package's version, and the commit when it runs from a git checkout."""

from __future__ import annotations

import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
TIMEOUT_S = 10


def code_version(folder: Path = PACKAGE) -> str:
    """Return `0.1.0, commit 0123456789ab`, with `-dirty` at its end when files were changed since that commit.

    The commit is `unknown` where git does not have the files of `folder`, or is not there itself.
    """
    return f"{version('camoe')}, commit {_commit(folder) or 'unknown'}"


def _commit(folder: Path) -> str | None:
    # A checkout around an installed package says nothing of it.
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return _git(folder, "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12")


def _git(folder: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    command = [program, "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
