"""The quality of a plan's shuffle: the autocorrelation of a nominal series (slot, day) within batches and between them.

With c[k, v] rows of value v in batch k, the chance that two rows of one batch agree is
`sum_v c[k, v] (c[k, v] - 1) / (n_k (n_k - 1))`, and that a row of batch k agrees with one of batch k + l is
`sum_v c[k, v] c[k + l, v] / (n_k n_{k+l})`. Both, averaged over batches, are set against the chance A that any two rows
of the series agree: `(agreement - A) / (1 - A)`. A full shuffle gives 0 to within noise, batches of one value each
give 1 within, and evenly spread values give slightly less than 0. The order of rows within a batch plays no part, as it
plays none in the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camoe.stream.planning.plan import BatchPlan
from camoe.stream.planning.quota import Counts
from camoe.stream.planning.split import split
from camoe.stream.planning.world import World


@dataclass(frozen=True)
class Autocorrelation:
    """Of one series: within batches, and between batches at each of `lags`. NaN where the series has one value only."""

    within: float
    lags: tuple[int, ...]
    between: tuple[float, ...]


def autocorrelation(counts: Counts, lags: Sequence[int]) -> Autocorrelation:
    """Compute the autocorrelation of a series given as `counts[batch, value]`; lags are below the number of batches."""
    table = counts.astype(np.float64)
    rows, total = table.sum(axis=1), table.sum()
    agree = float((table.sum(axis=0) * (table.sum(axis=0) - 1)).sum() / (total * (total - 1)))
    if agree >= 1:
        return Autocorrelation(float("nan"), tuple(lags), (float("nan"),) * len(lags))
    large = rows > 1
    within = (table[large] * (table[large] - 1)).sum(axis=1) / (rows[large] * (rows[large] - 1))
    between = [float(((table[:-lag] * table[lag:]).sum(axis=1) / (rows[:-lag] * rows[lag:])).mean()) for lag in lags]
    return Autocorrelation(
        within=(float(within.mean()) - agree) / (1 - agree),
        lags=tuple(lags),
        between=tuple((value - agree) / (1 - agree) for value in between),
    )


def counts_by(plan: BatchPlan, value_of_file: Sequence[int]) -> Counts:
    """Count the rows `[steps, values]` of each value in each batch; `value_of_file` numbers the values from 0."""
    values = np.array(value_of_file)[plan.row_groups.file]
    counts = np.zeros((plan.steps, int(values.max()) + 1), dtype=np.int64)
    for step in range(plan.steps):
        for piece in split(plan, step, World(0, 1)):
            counts[step, values[piece.source]] += piece.stop - piece.start
    return counts


def fully_shuffled(counts: Counts, seed: int) -> Counts:
    """Draw the same rows into batches of the same sizes, without replacement: what a full shuffle gives."""
    random = np.random.default_rng(seed)
    left = counts.sum(axis=0)
    drawn = np.empty_like(counts)
    for batch, rows in enumerate(counts.sum(axis=1)):
        drawn[batch] = random.multivariate_hypergeometric(left, rows, method="marginals")
        left -= drawn[batch]
    return drawn
