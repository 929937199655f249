"""The rows of a problem and the sizes of the models, as every system's worker has them. Needs numpy alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

BATCH = 4096
DIM, EXPERTS, EXPERT, TOWER = 16, 4, (256, 128), (64,)
# Of DCN-v2, and of the experts of CAMoE.
CROSSES, DEEP = 3, (256, 128)
LABELS = ("click", "complete")
LEARNING_RATE = 1e-3
# Embeddings that Adagrad learns take steps larger than the rest by this, as by the training job's defaults.
ADAGRAD_FACTOR = 20


@dataclass(frozen=True)
class Rows:
    """Categorical int32 `[N, C]`, each column counting from 0 to `size`; numeric float32 `[N, F]`; labels int8
    `[N, 2]`; slot int32 `[N]`.
    """

    size: int
    categorical: npt.NDArray[np.int32]
    numeric: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8]
    slot: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.slot)

    @property
    def categoricals(self) -> list[str]:
        """Names of the categorical columns."""
        return [f"cat_{number}" for number in range(self.categorical.shape[1])]

    @property
    def numerics(self) -> list[str]:
        """Names of the numeric columns."""
        return [f"num_{number}" for number in range(self.numeric.shape[1])]

    def cut(self, start: int, stop: int) -> Rows:
        """Return rows `[start, stop)`."""
        cut = slice(start, stop)
        return Rows(self.size, self.categorical[cut], self.numeric[cut], self.labels[cut], self.slot[cut])

    def batches(self) -> Iterator[Rows]:
        """Return all rows in order, `BATCH` at a time."""
        return (self.cut(first, first + BATCH) for first in range(0, len(self), BATCH))


class Trainer(Protocol):
    """A model of some library with its optimiser, and the batches that it has in memory."""

    def train(self, batches: Iterable[int]) -> None:
        """Learn from the batches of these numbers, in order, by the library's own training step."""

    def predict(self) -> npt.NDArray[np.float32]:
        """Return probabilities `[N, H]` of the rows held out."""


def read(folder: Path, start: int, stop: int | None) -> Rows:
    """Read rows `[start, stop)` of the problem in `folder`."""
    problem = json.loads((folder / "problem.json").read_text())
    names = ("categorical", "numeric", "labels", "slot")
    columns = (np.load(folder / f"{name}.npy")[start:stop] for name in names)
    return Rows(problem["vocabulary"] // problem["categoricals"], *columns)
