"""Changes of a metric between two variants, paired by users and seeds: estimates, errors, intervals and p-values.

A variant's metric is the mean over folds of the metric on the fold's test days. Its change against another variant is
`d_s = A_s / B_s - 1` with seed s, and `d` their mean over the n seeds. Two things make `d` uncertain: which users were
seen, and what the seeds draw. The first, `U`, is the variance of `d` when users' buckets are resampled, the same for
both variants, all seeds and all folds; the second, `S = var(d_s) / n`. The standard error is `sqrt(U + S)`, and its
degrees of freedom are those of Welch and Satterthwaite, `(U + S)^2 / (U^2 / (buckets - 1) + S^2 / (n - 1))`.
With one seed S is not known and left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import ndtr, stdtrit

from camoe.metrics.histogram import Floats, Histogram, Ints
from camoe.metrics.intervals import estimates
from camoe.metrics.measures import measures
from camoe.metrics.ranking import ratio
from camoe.metrics.state import State

LEVEL = 0.95
POWER = 0.8
# The metrics of a study.
COMPARED = ("auc_pr", "roc_auc", "ne", "ece")


@dataclass(frozen=True, eq=False)
class Measured:
    """A variant's metric, mean over folds: with each seed `[S]`, and with each seed on each resample of users `[S, R]`.

    NaN where it is undefined. `buckets` is the number of users' buckets.
    """

    values: Floats
    samples: Floats
    buckets: int

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(self.values.mean())


@dataclass(frozen=True)
class Change:
    """Relative change of a metric: `value` is `A / B - 1`, `error` its standard error, of `freedom` degrees of freedom.

    Where `better` is -1, less of the metric is better, else 1.
    """

    value: float
    error: float
    freedom: float
    better: int

    @property
    def defined(self) -> bool:
        """Presence of a change and an error to speak of."""
        return bool(np.isfinite(self.value) and np.isfinite(self.error) and self.error > 0)

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval."""
        half = self._quantile(LEVEL) * self.error
        return self.value - half, self.value + half

    @property
    def gain(self) -> float:
        """The change, above zero where A is better."""
        return self.better * self.value

    def p_above(self, bound: float = 0.0) -> float:
        """Return the one-sided p-value of the gain being no more than `bound`: small where it surely is more."""
        return float(stats.t.sf((self.gain - bound) / self.error, self.freedom)) if self.defined else 1.0

    def p_below(self, bound: float = 0.0) -> float:
        """Return the one-sided p-value of the gain being no less than `bound`: small where it surely is less."""
        return float(stats.t.cdf((self.gain - bound) / self.error, self.freedom)) if self.defined else 1.0

    def power(self, gain: float, level: float) -> float:
        """Return how often a comparison of this error tells `gain` from none, one-sided at `level`.

        By the approximation of the noncentral t distribution of Johnson and Welch (1940).
        """
        bound = -float(stdtrit(self.freedom, level))
        middle, width = bound * (1 - 1 / (4 * self.freedom)), math.hypot(1.0, bound / math.sqrt(2 * self.freedom))
        return float(ndtr((gain / self.error - middle) / width))

    def _quantile(self, level: float) -> float:
        return float(stats.t.ppf((1 + level) / 2, self.freedom))


def measure(states: Sequence[Sequence[Histogram]], weights: Ints, ece_bins: int) -> dict[str, Measured]:
    """Return the metrics of a variant on one group, from its states by seed and fold; `weights` resample buckets."""
    own = {name: one for name, one in measures(ece_bins).items() if name in COMPARED}
    found = [[estimates(State.of(state), own, weights) for state in by_fold] for by_fold in states]
    return {
        name: Measured(
            np.array([np.mean([fold[name].value for fold in by_fold]) for by_fold in found]),
            np.array([np.mean([fold[name].samples for fold in by_fold], axis=0) for by_fold in found]),
            weights.shape[1],
        )
        for name in own
    }


def detectable(needed: Sequence[Sequence[Change]], level: float) -> float:
    """Return the gain in every part at which all `needed` are told from none four times in five; NaN where never.

    Of each one of its parts has to be told, adjusted for their number: the one that is known best is taken. Parts are
    taken to be independent, which asks for more than parts that go together need.
    """
    best = [
        (min(known, key=lambda part: part.error), len(parts))
        for parts in needed
        if (known := [part for part in parts if part.defined])
    ]
    if len(best) < len(needed) or not best:
        return math.nan

    def lacking(gain: float) -> float:
        return math.prod(part.power(gain, level / among) for part, among in best) - POWER

    highest = max(part.error for part, _ in best)
    while lacking(highest) < 0:
        highest *= 2
    return float(brentq(lacking, 0.0, highest))


def change(first: Measured, second: Measured, metric: str) -> Change:
    """Return the change from `second` to `first`, of the same seeds and resamples."""
    by_seed, samples = ratio(first.values, second.values) - 1, ratio(first.samples, second.samples) - 1
    seeds, resampled = len(by_seed), samples.mean(axis=0)
    # A few resamples without a click have no metric; a group without any has none at all.
    known = resampled[~np.isnan(resampled)]
    of_users = float(known.var(ddof=1)) if len(known) > 1 else float("nan")
    of_seeds = float(by_seed.var(ddof=1) / seeds) if seeds > 1 else 0.0
    total = of_users + of_seeds
    parts = of_users**2 / (first.buckets - 1) + (of_seeds**2 / (seeds - 1) if seeds > 1 else 0.0)
    freedom = total**2 / parts if parts > 0 else float(first.buckets - 1)
    return Change(
        float(by_seed.mean()), float(np.sqrt(total)), freedom, 1 if measures(1)[metric].best == "highest" else -1
    )
