"""Calibration metrics of a logit histogram: normalised entropy, PCOC, calibration error and its noise floor."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import xlogy

from camoe.metrics.histogram import Bins, Floats, Ints
from camoe.metrics.ranking import ratio

Z_95 = 1.959964


@dataclass(frozen=True)
class ReliabilityPoint:
    """One equal-mass bin: rows, mean prediction, observed rate, and the rate's 95 % Wilson interval."""

    impressions: int
    mean_predicted: float
    observed: float
    low: float
    high: float


def normalised_entropy(bins: Bins) -> Floats:
    """Log-loss over the entropy of the rows' own base rate (He et al. 2014); the constant base rate has 1.

    Shape (...); NaN when the rows have one class only.
    """
    rows = bins.count.sum(axis=-1)
    rate = ratio(bins.positives.sum(axis=-1), rows)
    entropy = -(xlogy(rate, rate) + xlogy(1 - rate, 1 - rate))
    return ratio(ratio(bins.log_loss.sum(axis=-1), rows), entropy)


def pcoc(bins: Bins) -> Floats:
    """Return the predicted clicks over observed clicks; NaN without clicks."""
    return ratio(bins.p_sum.sum(axis=-1), bins.positives.sum(axis=-1))


def mass_index(bins: Bins, number: int) -> Ints:
    """Tell which of `number` equal-mass bins holds each logit bin, by its middle row's place; shape (..., bins)."""
    middle = np.cumsum(bins.count, axis=-1) - bins.count / 2
    rows = np.maximum(bins.count.sum(axis=-1, keepdims=True), 1)
    index: Ints = np.floor(middle / rows * number).astype(np.int64)
    return np.minimum(index, number - 1)


def expected_calibration_error(bins: Bins, number: int) -> Floats:
    """Return the mean over rows of |mean prediction - observed rate| of the row's equal-mass bin.

    Shape (...); NaN without rows.
    """
    index = mass_index(bins, number)
    shape = (*index.shape[:-1], number)
    part = index + number * np.arange(math.prod(shape[:-1])).reshape(*shape[:-1], 1)
    gaps = np.bincount(part.ravel(), weights=(bins.p_sum - bins.positives).ravel(), minlength=math.prod(shape))
    return ratio(np.abs(gaps.reshape(shape)).sum(axis=-1), bins.count.sum(axis=-1))


def calibration_noise_floor(bins: Bins, number: int, repeats: int, seed: int) -> float | None:
    """Return the calibration error that a perfectly calibrated model with these predictions shows on average.

    None without rows. Clicks are drawn `repeats` times: Binomial(rows, mean prediction) in each logit bin.
    """
    rows = bins.count.sum()
    if not rows:
        return None
    index = mass_index(bins, number)
    chance = np.clip(bins.p_sum / np.maximum(bins.count, 1), 0, 1)
    drawn = np.random.default_rng(seed).binomial(bins.count.astype(np.int64), chance, (repeats, len(chance)))
    member = np.eye(number)[index]
    gaps: Floats = (bins.p_sum - drawn) @ member
    return float(np.abs(gaps).sum(axis=-1).mean() / rows)


def reliability(bins: Bins, number: int) -> tuple[ReliabilityPoint, ...]:
    """Return the non-empty equal-mass bins, from the lowest prediction up."""
    index = mass_index(bins, number)
    count = np.bincount(index, weights=bins.count, minlength=number)
    predicted = np.bincount(index, weights=bins.p_sum, minlength=number)
    clicks = np.bincount(index, weights=bins.positives, minlength=number)
    points = [_point(rows, total, hits) for rows, total, hits in zip(count, predicted, clicks, strict=True) if rows > 0]
    return tuple(reversed(points))


def _point(rows: float, predicted: float, clicks: float) -> ReliabilityPoint:
    rate = clicks / rows
    shrink = 1 + Z_95**2 / rows
    centre = (rate + Z_95**2 / (2 * rows)) / shrink
    half = Z_95 * float(np.sqrt(rate * (1 - rate) / rows + Z_95**2 / (4 * rows**2))) / shrink
    low, high = max(centre - half, 0.0), min(centre + half, 1.0)
    return ReliabilityPoint(int(rows), float(predicted / rows), float(rate), float(low), float(high))
