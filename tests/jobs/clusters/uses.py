"""What every cluster has: the package of the project, an environment of the executors' own, and the three uses."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from camoe.contracts.layout import Layout
from camoe.contracts.snapshot import pin
from tests.features import lake
from tests.jobs.commands import run
from tests.paths import ROOT

WORKERS = 2


def package(folder: Path) -> Path:
    """Write what `make package` writes into `folder`; return the file."""
    made = folder / "camoe.zip"
    tracked = ["git", "archive", "--format=zip", "-o", str(made), "HEAD", "camoe", "features", "conf"]
    subprocess.run(tracked, cwd=ROOT, check=True)
    return made


def submit(shipped: str, settings: Mapping[str, str], *job: str, environment: tuple[str, ...] = ()) -> str:
    """Submit a job with the `shipped` settings of conf/spark and those given, each executor's Python as they name it.

    `job` are further options, the job and its arguments. Returns what it said.
    """
    given = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
    by = ["env", "-u", "PYSPARK_PYTHON", *environment, "spark-submit"]
    return run([*by, "--properties-file", f"conf/spark/{shipped}.conf", *given, *job])


def ended(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a session, and all of that."""
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)


def three_uses(submitted: Callable[..., str], folder: Path) -> Layout:
    """Submit features, training inside Spark and scoring of a small lake in `folder`; each has made its rows."""
    path = str(lake.write_lake(folder))
    layout = lake.Lake(folder, Path(path)).layout
    submitted("build_features", "--config", path)
    built = pin(layout.training).rows
    assert built > 0
    submitted("train", "--launcher", "spark", "-np", str(WORKERS), "--config", path, "training.epochs=1")
    assert (layout.bundle / "manifest.json").is_file()
    submitted("score", "--config", path)
    assert pin(layout.predictions).rows > 0
    return layout
