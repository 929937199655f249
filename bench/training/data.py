"""Made-up rows of 26 categoricals and 13 numerics whose two labels follow a planted signal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

CATEGORICALS, NUMERICS, LABELS = 26, 13, 2
# Share of rows in the second of two slots.
VIDEO = 0.1
# How far the signal moves the logit: standard deviation of a categorical's effects, of each factor that pairs share,
# and of a numeric's weight.
EFFECT, FACTOR, WEIGHT = 0.3, 0.5, 0.15
FACTORS, PAIRS, BIAS = 4, ((0, 1), (2, 3), (4, 5)), (-2.0, -1.5)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Problem:
    """`rows` rows over `vocabulary` ids in all, as many for each categorical.

    The k-th most frequent id of a categorical has a share proportional to `k ** -exponent`; ids are in no order.
    """

    vocabulary: int
    rows: int
    exponent: float = 1.05
    seed: int = 1

    @property
    def size(self) -> int:
        """Ids of one categorical."""
        return self.vocabulary // CATEGORICALS


def write(problem: Problem, folder: Path) -> Path:
    """Write the columns of `rows.Rows`, a file each, the probabilities truth.npy, and problem.json; the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(problem.seed)
    categorical = np.stack([_ids(problem, random) for _ in range(CATEGORICALS)], axis=1)
    numeric = random.normal(size=(problem.rows, NUMERICS))
    logits = [_logit(problem, categorical, numeric, random) + bias for bias in BIAS]
    truth = 1 / (1 + np.exp(-np.stack(logits, axis=1)))
    labels = random.random(truth.shape) < truth
    np.save(folder / "truth.npy", truth)
    np.save(folder / "categorical.npy", categorical.astype(np.int32))
    np.save(folder / "numeric.npy", numeric.astype(np.float32))
    np.save(folder / "labels.npy", labels.astype(np.int8))
    np.save(folder / "slot.npy", (random.random(problem.rows) < VIDEO).astype(np.int32))
    (folder / "problem.json").write_text(json.dumps({**asdict(problem), "categoricals": CATEGORICALS}))
    return folder


def _ids(problem: Problem, random: np.random.Generator) -> Ints:
    """Draw ids by Zipf's law over a finite vocabulary, by its inverse distribution; then permute them."""
    shares = np.arange(1, problem.size + 1, dtype=np.float64) ** -problem.exponent
    ranks = np.searchsorted(np.cumsum(shares) / shares.sum(), random.random(problem.rows))
    permuted: Ints = random.permutation(problem.size)[np.minimum(ranks, problem.size - 1)]
    return permuted


def _logit(problem: Problem, categorical: Ints, numeric: Floats, random: np.random.Generator) -> Floats:
    """Add effects of ids, inner products of the factors of paired ids, and a linear part, each of its own draw."""
    logit = numeric @ random.normal(0, WEIGHT, NUMERICS)
    for column in range(CATEGORICALS):
        logit += random.normal(0, EFFECT, problem.size)[categorical[:, column]]
    for pair in PAIRS:
        one, other = (random.normal(0, FACTOR, (problem.size, FACTORS))[categorical[:, column]] for column in pair)
        logit += (one * other).sum(axis=1)
    return logit
