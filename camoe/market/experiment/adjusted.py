"""Differences between users that were there before the experiment, taken out of the estimate (CUPED)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from camoe.market.draws import Floats
from camoe.market.experiment.measures import rates
from camoe.market.experiment.significance import influence


@dataclass(frozen=True)
class Adjusted:
    """An adjusted log ratio, its standard error and the `plain_error` without; `gain` is the variance taken out."""

    log_ratio: float
    error: float
    plain_error: float
    gain: float
    p: float


def cuped(sums: Floats, covariate: Floats, rate: str, outcome: str) -> Adjusted:
    """Adjust a rate's log ratio by a covariate of users (Deng et al., WSDM 2013), in its delta-method form.

    `sums` has shape (arm, bucket of users, measure), `covariate` (arm, bucket, 2): its sum over the bucket's requests,
    and their number. The covariate must not depend on the arm; its coefficient is fitted by least squares.
    """
    effects = np.stack([influence(arm, rate, outcome) for arm in sums])
    totals = covariate.sum(axis=1)
    means = totals[:, 0] / totals[:, 1]
    shifts = (covariate[..., 0] - means[:, np.newaxis] * covariate[..., 1]) / totals[:, 1, np.newaxis]
    varied = (shifts**2).sum()
    slope = (effects * shifts).sum() / varied if varied > 0 else 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        above = [np.log(_rate(arm, rate, outcome)) for arm in sums]
        log_ratio = float(above[1] - above[0] - slope * (means[1] - means[0]))
    buckets = sums.shape[1]
    plain, error = (_error(values, buckets) for values in (effects, effects - slope * shifts))
    p = float(2 * stats.t.sf(abs(log_ratio) / error, buckets - 1))
    return Adjusted(log_ratio, error, plain, 1 - error**2 / plain**2, p)


def _error(effects: Floats, buckets: int) -> float:
    return float(np.sqrt(((effects[1] - effects[0]) ** 2).sum() * buckets / (buckets - 1)))


def _rate(sums: Floats, rate: str, outcome: str) -> float:
    return float(rates(sums.sum(axis=0), outcome)[rate])
