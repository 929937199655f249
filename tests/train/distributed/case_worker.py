"""One of the workers of test_cases.py: trains each case in turn and writes down what it then has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.model.loss import targets
from camoe.stream.ledger import Ledger
from camoe.stream.stream import ReadOptions, stream
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.tensors import to_tensors
from tests.train.fitting import fitted, fresh_learner

CASES: dict[str, list[str]] = {
    "head": [],
    "batch": ["training.normalise=batch"],
    "expected": ["training.normalise=expected"],
    "no masking": ["training.mask=false"],
    "negatives": ["training.negatives={audio: 0.5}", "training.clip_norm=0.5"],
    "ple": ["model={kind: ple, embedding_dim: 4, expert: {kind: mlp, hidden: [8, 4]}, tower_hidden: [4]}"],
}


def learned(path: str, overrides: list[str]) -> dict[str, Any]:
    """Losses, validation and weights after one epoch."""
    train_step, history = fitted(load(path, Config, overrides))
    (epoch,) = history.epochs
    found = {name: value.numpy() for name, value in train_step.model.state_dict().items()}
    levels = np.array([(level.loss, level.rows, level.batches) for level in history.levels])
    return found | {"losses": np.array(epoch.losses), "ne": np.array(epoch.validation.ne), "levels": levels}


def presence(path: str) -> npt.NDArray[Any]:
    """This worker's rows of each head, by step: `[steps, H]`."""
    config = load(path, Config)
    train_step, data = fresh_learner(config)
    counts = []
    for block in stream(
        data.epoch(config.training, 0), data.columns, train_step.workers.world, ReadOptions(1), ledger=Ledger()
    ):
        batch = to_tensors(block, train_step.workers.device, train_step.dtype)
        counts.append(targets(train_step.masking, batch.labels, batch.slot)[1].sum(dim=0).numpy())
    return np.array(counts)


def main(path: str, folder: str) -> None:
    rank = join_workers().world.rank
    for number, overrides in enumerate(CASES.values()):
        np.savez(Path(folder) / f"{number}-{rank}.npz", **learned(path, overrides))
    np.save(Path(folder) / f"presence-{rank}.npy", presence(path))


if __name__ == "__main__":
    main(*sys.argv[1:])
