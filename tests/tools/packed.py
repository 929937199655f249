"""The packed environment, unpacked somewhere else."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from tests.paths import ROOT


def unpacked(folder: Path) -> Path:
    """Pack what executors need of features and scores as `make environment TORCH=none` does; returns where it lies."""
    archive, home = folder / "environment.tar.gz", folder / "some where" / "environment"
    done = subprocess.run(
        [ROOT / "tools/environment.sh", "none", archive], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{archive}: ")
    with tarfile.open(archive) as packed:
        packed.extractall(home, filter="tar")
    archive.unlink()
    return home
