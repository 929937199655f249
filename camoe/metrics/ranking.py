"""Ranking metrics of a logit histogram: AUC-PR as average precision, with certified bounds, and ROC-AUC."""

from __future__ import annotations

import numpy as np
from scipy.special import digamma

from camoe.metrics.histogram import Bins, Floats

# From here on the next term of digamma's expansion is below the last digit.
ASYMPTOTIC = 1000.0


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Return the quotient, NaN where the denominator is 0."""
    undefined = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), np.nan)
    found: Floats = np.divide(numerator, denominator, out=undefined, where=np.asarray(denominator) != 0)
    return found


def average_precision(bins: Bins) -> Floats:
    """Return AP, the step sum of precision over recall, rows of one bin tied; shape (...), NaN without positives."""
    hits = np.cumsum(bins.positives, axis=-1)
    shown = np.cumsum(bins.count, axis=-1)
    precision = np.nan_to_num(ratio(hits, shown))
    return ratio((bins.positives * precision).sum(axis=-1), bins.positives.sum(axis=-1))


def average_precision_lift(bins: Bins) -> Floats:
    """Return AP over the positive rate, which is the AP of a constant; shape (...)."""
    return ratio(average_precision(bins), ratio(bins.positives.sum(axis=-1), bins.count.sum(axis=-1)))


def average_precision_bounds(bins: Bins) -> tuple[Floats, Floats]:
    """Lower and upper bound of the AP of the unbinned scores, whatever their order and ties inside each bin.

    They hold up to floating-point rounding, with 1e9 rows to ten digits.

    Of k positives and n negatives in a bin below T positives and F negatives, the i-th positive has a precision of at
    least (T + i) / (T + i + F + n), all negatives standing first, and of at most (T + k) / (T + k + F).
    """
    negatives = bins.count - bins.positives
    hits = np.cumsum(bins.positives, axis=-1)
    misses = np.cumsum(negatives, axis=-1)
    before = hits - bins.positives
    # The sum over i of (T + i) / (T + i + M) is k - M * (digamma(T + k + M + 1) - digamma(T + M + 1)).
    lowest = bins.positives - misses * _digamma_step(before + misses + 1, bins.positives)
    highest = bins.positives * np.nan_to_num(ratio(hits, hits + misses - negatives))
    total = bins.positives.sum(axis=-1)
    return ratio(lowest.sum(axis=-1), total), ratio(highest.sum(axis=-1), total)


def _digamma_step(start: Floats, step: Floats) -> Floats:
    """Return digamma(start + step) - digamma(start), which for great numbers are alike to all but the last digits."""
    low, high = start - 0.5, start + step - 0.5
    far = np.log1p(step / low) + (high**-2.0 - low**-2.0) / 24 - 7 * (high**-4.0 - low**-4.0) / 960
    return np.where(start < ASYMPTOTIC, digamma(start + step) - digamma(start), far)


def roc_auc(bins: Bins) -> Floats:
    """Share of (positive, negative) pairs in the right order, ties in a bin counted half; NaN without a pair."""
    negatives = bins.count - bins.positives
    above = np.cumsum(bins.positives, axis=-1) - bins.positives / 2
    pairs = bins.positives.sum(axis=-1) * negatives.sum(axis=-1)
    return ratio((negatives * above).sum(axis=-1), pairs)
