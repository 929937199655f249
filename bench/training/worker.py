"""One library's model, told on standard input what to do; runs in the environment of that library.

python -m bench.training.worker SYSTEM FOLDER SETTINGS_JSON, then lines: `train FIRST STEPS`, `predict FILE`, `memory`.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.training.rows import Trainer, read


def peak_mb() -> float:
    """Return the most memory that was resident in this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def obey(trainer: Trainer, batches: int, line: str) -> dict[str, Any]:
    """Carry out one command; its answer."""
    command, *rest = line.split()
    if command == "train":
        first, steps = map(int, rest)
        started, used = time.perf_counter(), time.process_time()
        trainer.train(number % batches for number in range(first, first + steps))
        return {"seconds": time.perf_counter() - started, "processor_s": time.process_time() - used}
    if command == "predict":
        np.save(rest[0], trainer.predict())
        return {}
    return {"peak_mb": peak_mb()}


def main() -> None:
    """Build the model, then answer each line of standard input by one line of JSON."""
    system, folder, settings = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    answers, sys.stdout = sys.stdout, sys.stderr
    torch.manual_seed(settings["seed"])
    learned = read(folder, 0, settings["train_rows"])
    held_out = read(folder, settings["train_rows"], None)
    trainer = importlib.import_module(f"bench.training.systems.{system}").build(settings, learned, held_out)
    torch.set_num_threads(settings["threads"])
    batches = -(-len(learned) // settings["batch"])
    print(json.dumps({"ready": system}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(trainer, batches, line)), file=answers, flush=True)


if __name__ == "__main__":
    main()
