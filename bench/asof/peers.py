"""The systems that are compared: an environment for each, and a process that keeps its Spark warm."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from bench.processes import ROOT, Worker, interpreter_of

COMMON = ["pyspark==4.0.5", "pandas==2.2.*", "setuptools<81"]
# tempo imports IPython and scipy without declaring them.
PACKAGES = {
    "tempo": ["dbl-tempo==0.1.30", "ipython<9", "scipy", "numpy<2", "pyarrow==14.0.2", *COMMON],
    "feast_spark": ["feast==0.67.0", *COMMON],
}


def start(name: str, folder: Path, config: dict[str, Any], log: Path, limit_s: float) -> Worker:
    """Start a worker of one system, whose environment is made first where it is missing."""
    interpreter = interpreter_of(name, [PACKAGES[name]]) if name in PACKAGES else Path(sys.executable)
    environment = {**os.environ, "PYSPARK_PYTHON": str(interpreter), "FEAST_USAGE": "False", "PYTHONPATH": str(ROOT)}
    command: list[str | Path] = [interpreter, "-m", "bench.asof.worker", name, folder, json.dumps(config)]
    return Worker(command, environment, log, limit_s)
