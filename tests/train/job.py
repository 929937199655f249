"""The training job, run as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.paths import ROOT


def train(config: Path, workers: int, *overrides: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the job with so many workers on this machine; it must end with `code`."""
    done = subprocess.run(
        [sys.executable, ROOT / "jobs/train.py", "-np", str(workers), "--config", config, *overrides],
        capture_output=True, text=True, timeout=300, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done
