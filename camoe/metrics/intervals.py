"""Intervals by bootstrap over buckets of users: a user's impressions stay together, as they are not independent."""

from __future__ import annotations

from collections.abc import Callable
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


@dataclass(frozen=True)
class Difference:
    """A metric of one predictor less another's, over the same rows; None where it is undefined."""

    value: float | None
    interval: Interval | None


def bucket_weights(buckets: int, repeats: int, seed: int) -> Ints:
    """How often each resample draws each bucket, shape (repeats, buckets); each row sums to `buckets`."""
    return np.random.default_rng(seed).multinomial(buckets, np.full(buckets, 1 / buckets), repeats)


def resamples(state: Histogram, metric: Metric, weights: Ints) -> Floats:
    """The metric on each resample of the buckets, shape (repeats,); NaN where it is undefined."""
    return metric(state.weighted(weights))


def interval(samples: Floats) -> Interval | None:
    """The middle 95 % of `samples`; None when more than 5 % of them are undefined."""
    defined = samples[~np.isnan(samples)]
    if len(defined) < (1 - MAX_UNDEFINED) * len(samples) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def paired_difference(first: Histogram, second: Histogram, metric: Metric, weights: Ints) -> Difference:
    """`metric` of `first` less that of `second`, both resampled by the same `weights`: shared noise cancels."""
    value = optional(metric(first.bins()) - metric(second.bins()))
    samples = resamples(first, metric, weights) - resamples(second, metric, weights)
    return Difference(value, interval(samples))


def optional(value: Floats | float) -> float | None:
    """A float, or None for NaN: JSON has no NaN."""
    number = float(value)
    return None if np.isnan(number) else number
