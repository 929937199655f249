"""torch-rechub: its MMOE and DCNv2, and its trainers' loop over one epoch, with the optimiser they set up (Adam).

Weight decay, which its trainers put on whole embedding tables, is left off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch_rechub.basic.features import DenseFeature, SparseFeature
from torch_rechub.models.multi_task import MMOE
from torch_rechub.models.ranking import DCNv2
from torch_rechub.trainers import CTRTrainer, MTLTrainer

from bench.training.rows import CROSSES, DEEP, DIM, EXPERT, EXPERTS, LABELS, TOWER, Rows

Batch = tuple[dict[str, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Rechub:
    """A trainer and its batches."""

    trainer: Any
    batches: tuple[Batch, ...]
    held_out: tuple[Batch, ...]

    def train(self, batches: Iterable[int]) -> None:
        """Run its loop over one epoch, given batches in place of a loader."""
        self.trainer.train_one_epoch([self.batches[number] for number in batches])

    @torch.no_grad()
    def predict(self) -> npt.NDArray[np.float32]:
        """Return `[N, H]`."""
        model = self.trainer.model.eval()
        return torch.cat([model(x).view(len(y), -1) for x, y in self.held_out]).numpy()


def build(settings: dict[str, Any], learned: Rows, held_out: Rows) -> Rechub:
    """Return the model `settings["model"]`."""
    features = [SparseFeature(name, learned.size, DIM) for name in learned.categoricals]
    features += [DenseFeature(name) for name in learned.numerics]
    adam = {"lr": settings["learning_rate"], "weight_decay": 0.0}
    tasks = ["classification"] * len(LABELS)
    if settings["model"] == "mmoe":
        expert, tower = {"dims": list(EXPERT)}, [{"dims": list(TOWER)}] * len(tasks)
        trainer = MTLTrainer(MMOE(features, tasks, EXPERTS, expert, tower), tasks, optimizer_params=adam)
    else:
        network = DCNv2(features, CROSSES, {"dims": list(DEEP)}, use_low_rank_mixture=False)
        trainer = CTRTrainer(network, optimizer_params=adam)
    several = settings["model"] == "mmoe"
    native = tuple(tuple(_batch(part, several) for part in rows.batches()) for rows in (learned, held_out))
    return Rechub(trainer, *native)


def _batch(rows: Rows, several: bool) -> Batch:
    x = {name: torch.from_numpy(rows.categorical[:, i].astype(np.int64)) for i, name in enumerate(rows.categoricals)}
    x |= {name: torch.from_numpy(rows.numeric[:, i].copy()) for i, name in enumerate(rows.numerics)}
    labels = torch.from_numpy(rows.labels.astype(np.float32))
    return x, labels if several else labels[:, 0]
