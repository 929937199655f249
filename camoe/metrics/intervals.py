"""Intervals by bootstrap over buckets of users: a user's impressions stay together, as they are not independent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from camoe.metrics.histogram import Bins, Floats, Histogram, Ints

Metric = Callable[[Bins], Floats]
LEVEL = 0.95
# Resamples without a click have no metric; with more of them than this an interval would mislead.
MAX_UNDEFINED = 0.05


@dataclass(frozen=True)
class Interval:
    """Both ends of a 95 % percentile interval."""

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


@dataclass(frozen=True)
class Difference:
    """A metric of one predictor less another's, over the same rows; None where it is undefined."""

    value: float | None
    interval: Interval | None


def bucket_weights(buckets: int, repeats: int, seed: int) -> Ints:
    """Return how often each resample draws each bucket, shape (repeats, buckets); each row sums to `buckets`."""
    return np.random.default_rng(seed).multinomial(buckets, np.full(buckets, 1 / buckets), repeats)


def estimates(state: Histogram, metrics: Mapping[str, Metric], weights: Ints) -> dict[str, Estimate]:
    """Return each metric of `state`, resampled by `weights`, shape (repeats, buckets)."""
    whole, resampled = state.bins(), state.weighted(weights)
    return {name: Estimate(float(metric(whole)), metric(resampled)) for name, metric in metrics.items()}


def interval(samples: Floats) -> Interval | None:
    """Return the middle 95 % of `samples`; None when more than 5 % of them are undefined."""
    defined = samples[~np.isnan(samples)]
    if len(defined) < (1 - MAX_UNDEFINED) * len(samples) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def paired_difference(first: Estimate, second: Estimate) -> Difference:
    """Take `second` from `first`, one metric of two predictors resampled by the same weights: shared noise cancels."""
    return Difference(optional(first.value - second.value), interval(first.samples - second.samples))


def optional(value: Floats | float) -> float | None:
    """Return a float, or None for one that is not finite: JSON has none."""
    number = float(value)
    return number if np.isfinite(number) else None
