"""Commands as a user gives them, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.paths import ROOT


def run(command: Sequence[str], code: int = 0) -> str:
    """Run the command until it ends with `code`; returns what it said."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYSPARK_PYTHON": sys.executable,
    }
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False, env=environment)
    assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def spark_job(name: str, *arguments: str, code: int = 0) -> str:
    """Run the job by spark-submit, with the shipped settings; returns what it said."""
    return run(["spark-submit", "--properties-file", "conf/spark/local.conf", f"jobs/{name}.py", *arguments], code)
