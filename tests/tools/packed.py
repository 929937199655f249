"""The packed environment, unpacked somewhere else."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.once import made_once
from tests.paths import ROOT

WITHIN = Path("some where/environment")


def packed_home(factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return where it lies: it is packed and unpacked once in a session, and nobody may change it."""
    return made_once(factory, worker_id, "packed", unpacked) / WITHIN


def unpacked(folder: Path) -> Path:
    """Pack what executors need of features and scores as `make environment TORCH=none` does; returns where it lies."""
    archive, home = folder / "environment.tar.gz", folder / WITHIN
    done = subprocess.run(
        [ROOT / "tools/environment.sh", "none", archive], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{archive}: ")
    with tarfile.open(archive) as packed:
        packed.extractall(home, filter="tar")
    archive.unlink()
    return home
