"""The systems that are compared: the packages of each, and a running worker of one."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import ROOT, Worker, interpreter_of
from bench.training.rows import LEARNING_RATE

# Defaults of the training job's own workers (camoe.train.launch.launch), given to every system alike.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
}
RANKING = ("ranking", [["torch==2.13.0", "fuxictr==2.3.10", "torch-rechub==0.9.0", "deepctr-torch==0.3.0", "numpy>=2"]])
# The newest that load beside torch 2.13; their own requirements would bring another torch.
TORCHREC = (
    "torchrec",
    [
        ["torch==2.13.0", "numpy<2", "tensordict", "torchmetrics==1.0.3", "pyre-extensions", "iopath", "setuptools<81"],
        ["--no-deps", "torchrec==1.8.0", "fbgemm-gpu-cpu==1.8.0"],
    ],
)
LIBRARIES = {"fuxictr": RANKING, "torch_rechub": RANKING, "deepctr_torch": RANKING}
ENVIRONMENTS = {**LIBRARIES, "torchrec": TORCHREC}


@dataclass(frozen=True)
class Settings:
    """Settings of a system's worker. `training` overrides the training configuration of this project."""

    model: str
    train_rows: int
    threads: int
    batch: int
    schedule_steps: int
    seed: int = 1
    learning_rate: float = LEARNING_RATE
    training: dict[str, Any] = field(default_factory=dict)


def start(system: str, folder: Path, settings: Settings, log: Path, limit_s: float) -> Worker:
    """Start a worker of `system` over the problem in `folder`; its environment is made first where it is missing.

    Raises:
        subprocess.CalledProcessError, RuntimeError, TimeLimitError: it does not install, start or answer.
    """
    interpreter = interpreter_of(*ENVIRONMENTS[system]) if system in ENVIRONMENTS else Path(sys.executable)
    environment = {
        **os.environ,
        **ALLOCATOR,
        "OMP_NUM_THREADS": str(settings.threads),
        "HOROVOD_CYCLE_TIME": "3",
        "TQDM_DISABLE": "1",
        "PYTHONPATH": str(ROOT),
    }
    command: list[str | Path] = [
        interpreter,
        "-m",
        "bench.training.worker",
        system,
        folder,
        json.dumps(asdict(settings)),
    ]
    return Worker(command, environment, log, limit_s)
