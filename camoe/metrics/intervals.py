"""Intervals by bootstrap over buckets of users: a user's impressions stay together, as they are not independent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from camoe.metrics.histogram import Floats, Ints
from camoe.metrics.measures import Measure
from camoe.metrics.state import State

LEVEL = 0.95
# Below so many positives a rate's interval is Poisson's: resamples of few are few, and too much alike.
FEW = 100
# Resamples without a click have no metric; with more of them than this an interval would mislead.
MAX_UNDEFINED = 0.05


@dataclass(frozen=True)
class Interval:
    """Both ends of a 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Estimate:
    """A metric of one state, NaN where undefined: on all rows, and on each resample of the buckets, (repeats,)."""

    value: float
    samples: Floats

    @property
    def interval(self) -> Interval | None:
        """`interval` of the resamples."""
        return interval(self.samples)


def bucket_weights(buckets: int, repeats: int, seed: int) -> Ints:
    """Return how often each resample draws each bucket, shape (repeats, buckets); each row sums to `buckets`."""
    return np.random.default_rng(seed).multinomial(buckets, np.full(buckets, 1 / buckets), repeats)


def estimates(state: State, measures: Mapping[str, Measure], weights: Ints) -> dict[str, Estimate]:
    """Return each measure of `state`, resampled by `weights`, shape (repeats, buckets).

    Resamples lie around the value of all rows: wide bins, and resampling itself where it adds noise to an error, shift
    them, and their mean tells by how much. A measure that needs bins is undefined on sums alone.
    """
    whole, resampled = state.whole.bins(), state.users.weighted(weights)
    return {
        name: _estimate(float(measure.of(whole)), measure.of(resampled))
        if state.bins is not None or not measure.binned
        else Estimate(np.nan, np.full(len(weights), np.nan))
        for name, measure in measures.items()
    }


def _estimate(value: float, samples: Floats) -> Estimate:
    defined = samples[~np.isnan(samples)]
    return Estimate(value, samples + (value - defined.mean()) if len(defined) else samples)


def interval(samples: Floats) -> Interval | None:
    """Return the middle 95 % of `samples`; None when more than 5 % of them are undefined."""
    if not enough(samples):
        return None
    low, high = np.quantile(samples[~np.isnan(samples)], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def enough(samples: Floats) -> bool:
    """Return whether enough of `samples` are defined to tell an interval."""
    defined = np.count_nonzero(~np.isnan(samples))
    return bool(defined and defined >= (1 - MAX_UNDEFINED) * len(samples))


def optional(value: Floats | float) -> float | None:
    """Return a float, or None for one that is not finite: JSON has none."""
    number = float(value)
    return number if np.isfinite(number) else None


def poisson(positives: float) -> Interval | None:
    """Return the exact interval of the number to expect where `positives` were seen (Garwood, 1936); None of 0."""
    if positives <= 0:
        return None
    tail = (1 - LEVEL) / 2
    return Interval(float(stats.chi2.ppf(tail, 2 * positives)) / 2, float(stats.chi2.isf(tail, 2 * positives + 2)) / 2)


def pcoc_interval(predicted: float, positives: float, resampled: Interval | None) -> Interval | None:
    """Return the interval of `predicted` over `positives`: by `poisson` below `FEW` positives, else as `resampled`.

    Where resamples are wider, as of users with many positives each, they are taken.
    """
    exact = poisson(positives) if positives < FEW else None
    if exact is None:
        return resampled
    low, high = predicted / exact.high, predicted / exact.low
    return Interval(min(low, resampled.low), max(high, resampled.high)) if resampled else Interval(low, high)
