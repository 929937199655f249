"""The feature job as a user starts it, measured from outside."""

from __future__ import annotations

import contextlib
import logging
import math
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.growth.lake import write_lake
from bench.processes import children_s

ROOT = Path(__file__).resolve().parents[2]
LOG = logging.getLogger("bench")
LOOK_S = 0.5
OWN = re.compile(r"RssAnon:\s+(\d+) kB")


@dataclass(frozen=True)
class Run:
    """Seconds of a run by the clock and of processors, and the most memory (bytes) that its processes held together."""

    seconds: float
    cpu_s: float
    peak: int


@dataclass(frozen=True)
class Driver:
    """Spark's driver: its heap, its cores, and Java's options in place of those of conf/spark/local.conf."""

    memory: str
    cores: int
    java: str | None = None

    def submit(self) -> list[str]:
        """Return the beginning of a command that starts a job in it."""
        java = [] if self.java is None else ["--driver-java-options", self.java]
        settings = ["--properties-file", "conf/spark/local.conf", "--master", f"local[{self.cores}]"]
        return ["spark-submit", *settings, "--driver-memory", self.memory, *java]


def grow(sizes: list[int], driver: Driver, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Build the features of a lake of each size; `slope`: of log seconds against log rows, at most 1 when linear.

    `overrides` are of conf/synthetic.yaml.
    """
    figures: dict[str, float] = {}
    runs: dict[int, Run] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as home:
            write_lake(size, Path(home) / "raw")
            runs[size] = build(Path(home), driver, overrides)
        LOG.info("%s impressions: %s", f"{size:,}", runs[size])
        figures[f"{size}.seconds"] = round(runs[size].seconds, 2)
        figures[f"{size}.cpu_s"] = round(runs[size].cpu_s, 2)
        figures[f"{size}.rows_per_s"] = round(size / runs[size].seconds)
        figures[f"{size}.peak_mib"] = round(runs[size].peak / 2**20)
    ratios: dict[str, float] = {}
    if len(runs) > 1:
        slope = np.polyfit([math.log(size) for size in runs], [math.log(run.seconds) for run in runs.values()], 1)[0]
        figures["slope"] = round(float(slope), 3)
        ratios["linear"] = round(1 / float(slope), 3)
    config = {"sizes": sizes, "overrides": list(overrides), **asdict(driver)}
    return {"config": config, "figures": figures, "ratios": ratios}


def build(home: Path, driver: Driver, overrides: Sequence[str] = ()) -> Run:
    """Run jobs/build_features.py on `home/raw` and watch it.

    Raises:
        RuntimeError: the job failed; with the end of what it said.
    """
    job = [*driver.submit(), "jobs/build_features.py", f"out={home / 'out'}", f"input={home / 'raw'}", *overrides]
    log = home / "job.log"
    started, used, peak = time.perf_counter(), children_s(), 0
    with log.open("w") as output:
        process = subprocess.Popen(job, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(LOOK_S)
    if process.returncode:
        raise RuntimeError(f"the job failed with {process.returncode}: {log.read_text()[-2000:]}")
    return Run(time.perf_counter() - started, children_s() - used, peak)


def resident(session: int) -> int:
    """Return the bytes of memory of their own that the processes of a session hold now.

    Pages of files that are mapped are left out: they are the system's, which takes them back at will. Java starts a
    program by a child that for a moment is in Java's own memory; that is counted once.
    """
    held: dict[tuple[str, int], int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It ended while we looked.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            own = OWN.search((folder / "status").read_text())
            if int(fields[3]) == session and own is not None:
                command = (folder / "cmdline").read_text()
                twins = command, 0 if "java" in command.partition("\0")[0] else int(folder.name)
                held[twins] = max(held.get(twins, 0), int(own[1]) * 1024)
    return sum(held.values())
