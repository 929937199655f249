"""Runs own.py: one process over a stream, or one and two Horovod workers in turns."""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.processes import ROOT
from bench.training.peers import ALLOCATOR

OWN = (sys.executable, "-m", "bench.training.own")
LOG = logging.getLogger("bench")
WORKERS = (1, 2)


def stream(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return figures and ratios of training from the stream against training from memory."""
    return _told("stream", settings, folder, [])


def workers(settings: Mapping[str, Any], folder: Path, launches: int) -> dict[str, Any]:
    """Measure one process with all threads against two Horovod workers that share them, launched in turns."""
    found: dict[int, list[tuple[float, float]]] = {number: [] for number in WORKERS}
    for turn in range(launches):
        for number in WORKERS:
            launcher = [str(Path(sys.executable).with_name("horovodrun")), "--gloo", "-np", str(number)]
            rates = _told("workers", settings, folder, launcher)["rates"]
            found[number].append(tuple(statistics.median(column) for column in zip(*rates, strict=True)))
            LOG.info("%d worker(s), launch %d: %s", number, turn, found[number][-1])
    figures: dict[str, float] = {}
    ratios: dict[str, float] = {}
    for index, clock in enumerate(("samples_per_s", "samples_per_processor_s")):
        values = {number: [rate[index] for rate in rates] for number, rates in found.items()}
        figures |= {f"{number}_workers.{clock}": statistics.median(rates) for number, rates in values.items()}
        pairs = zip(values[2], values[1], strict=True)
        ratios[f"2_workers/1_worker.{clock}"] = statistics.median(two / one for two, one in pairs)
    return {"figures": figures, "ratios": ratios}


def _told(command: str, settings: Mapping[str, Any], folder: Path, launcher: list[str]) -> dict[str, Any]:
    out = folder / "answer.json"
    environment = {**os.environ, **ALLOCATOR, "HOROVOD_CYCLE_TIME": "3", "PYTHONPATH": str(ROOT)}
    told = json.dumps({**settings, "out": str(out)})
    subprocess.run([*launcher, *OWN, command, told], check=True, env=environment, stdout=sys.stderr)
    answer: dict[str, Any] = json.loads(out.read_text())
    return answer
