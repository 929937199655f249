"""DeepCTR-Torch: its MMOE and DCN (matrix parameters), and its own `fit` with its Adam, l2 penalties off.

Only the loader inside `fit` is replaced, by batches in memory: the penalties and its row-wise loader would cost it
time that says nothing about a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from deepctr_torch.inputs import DenseFeat, SparseFeat
from deepctr_torch.models import DCN, MMOE, basemodel

from bench.training.rows import CROSSES, DEEP, DIM, EXPERT, EXPERTS, LABELS, TOWER, Rows

Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class DeepCtr:
    """A compiled model and its batches."""

    model: Any
    batches: tuple[Batch, ...]
    held_out: tuple[Batch, ...]

    def train(self, batches: Iterable[int]) -> None:
        """Call `fit` over one epoch."""
        chosen = [self.batches[number] for number in batches]
        basemodel.DataLoader = lambda **_: chosen
        x, y = (part.numpy() for part in chosen[0])
        self.model.fit([x], y, batch_size=len(x), verbose=0)

    @torch.no_grad()
    def predict(self) -> npt.NDArray[np.float32]:
        """Return `[N, H]`."""
        model = self.model.eval()
        return torch.cat([model(x) for x, _ in self.held_out]).numpy()


def build(settings: dict[str, Any], learned: Rows, held_out: Rows) -> DeepCtr:
    """Return the model `settings["model"]`."""
    features = [SparseFeat(name, learned.size, DIM) for name in learned.categoricals]
    features += [DenseFeat(name) for name in learned.numerics]
    off = {"l2_reg_linear": 0, "l2_reg_embedding": 0, "seed": settings["seed"]}
    several = settings["model"] == "mmoe"
    if several:
        model = MMOE(features, EXPERTS, EXPERT, (), TOWER, task_names=LABELS, **off)
    else:
        model = DCN([], features, CROSSES, "matrix", DEEP, l2_reg_cross=0, **off)
    model.compile(torch.optim.Adam(model.parameters(), lr=settings["learning_rate"]), "binary_crossentropy")
    native = tuple(tuple(_batch(part, several) for part in rows.batches()) for rows in (learned, held_out))
    return DeepCtr(model, *native)


def _batch(rows: Rows, several: bool) -> Batch:
    x = np.concatenate([rows.categorical.astype(np.float32), rows.numeric], axis=1)
    return torch.from_numpy(x), torch.from_numpy(rows.labels if several else rows.labels[:, :1]).float()
