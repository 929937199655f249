"""Intervals and tests of an experiment: users and campaigns come in clusters, and several slots are looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from camoe.market.draws import Floats, Ints
from camoe.market.experiment.measures import COST, FIXED, IMPRESSIONS, OUTCOMES, changes
from camoe.metrics.intervals import Interval, bucket_weights, interval

# Of each rate that is tested, the sums above and below its line; None stands for the outcome that counts.
RATIOS: Mapping[str, tuple[int | None, int | None]] = {
    "ctr": (None, IMPRESSIONS),
    "ecpc": (COST, None),
    "ecpm": (COST, IMPRESSIONS),
}


def bootstrapped(sums: Floats, outcome: str, repeats: int, seed: int) -> dict[str, Interval | None]:
    """Return 95 % intervals of `changes`, for sums of shape (arm, bucket of users, measure): buckets are resampled.

    None where a rate is undefined in more than 5 % of the resamples, which may have no click to pay for.
    What budgets that were spent paid is not: with other users they would have been spent, too.
    """
    weights = bucket_weights(sums.shape[1], repeats, seed).astype(np.float64)
    control, treated = (_resampled(arm, weights) for arm in sums)
    found = changes(control, treated, outcome)
    return {name: interval(np.where(np.isfinite(values), values, np.nan)) for name, values in found.items()}


def _resampled(arm: Floats, weights: Floats) -> Floats:
    found: Floats = weights @ arm
    found[:, COST] += arm[:, FIXED].sum() - found[:, FIXED]
    return found


@dataclass(frozen=True)
class Tested:
    """The log ratio of a rate in the two arms, its standard error over `clusters`, and the p-value of no difference."""

    log_ratio: float
    error: float
    clusters: int
    p: float


def paired(sums: Floats, rate: str, outcome: str) -> Tested:
    """Test a rate of `RATIOS` for sums of shape (arm, cluster, measure), each cluster being in both arms.

    The difference of a cluster is that of its contributions to the two log rates (the delta method); a t-test over the
    clusters follows. NaN where an arm has no click or cost.
    """
    difference = influence(sums[1], rate, outcome) - influence(sums[0], rate, outcome)
    log_ratio = float(_log_rate(sums[1], rate, outcome) - _log_rate(sums[0], rate, outcome))
    seen = (sums[..., IMPRESSIONS] > 0).any(axis=0)
    clusters = int(seen.sum())
    if clusters < 2 or not np.isfinite(log_ratio):
        return Tested(float("nan"), float("nan"), clusters, float("nan"))
    error = float(np.sqrt((difference[seen] ** 2).sum() * clusters / (clusters - 1)))
    p = 2 * stats.t.sf(abs(log_ratio) / error, clusters - 1) if error > 0 else 1.0
    return Tested(log_ratio, error, clusters, float(p))


def influence(sums: Floats, rate: str, outcome: str) -> Floats:
    """Return what each cluster, shape (cluster, measure), contributes to the log rate.

    What budgets that were spent paid is no cluster's: with other users they would have been spent, too.
    """
    above, below = _parts(sums, rate, outcome)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _share(above, sums, rate, 0) - _share(below, sums, rate, 1)


def _share(part: Floats, sums: Floats, rate: str, side: int) -> Floats:
    own = part - sums[..., FIXED] if RATIOS[rate][side] == COST else part
    found: Floats = (own - own.mean()) / part.sum()
    return found


def _log_rate(sums: Floats, rate: str, outcome: str) -> float:
    above, below = _parts(sums, rate, outcome)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log(above.sum() / below.sum()))


def _parts(sums: Floats, rate: str, outcome: str) -> tuple[Floats, Floats]:
    above, below = (sums[..., OUTCOMES[outcome] if part is None else part] for part in RATIOS[rate])
    return above, below


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust the p-values of one family (Holm, 1979); NaN stays NaN and counts as no test."""
    known = sorted((p, name) for name, p in p_values.items() if not np.isnan(p))
    adjusted, highest = {name: float("nan") for name in p_values}, 0.0
    for place, (p, name) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - place) * p))
        adjusted[name] = highest
    return adjusted


def sample_ratio(arms: Ints, share: float) -> float:
    """Return the p-value of the users' `arms` under the declared `share` of treated ones (chi-square)."""
    treated, users = int(arms.sum()), len(arms)
    expected = [users * (1 - share), users * share]
    return float(stats.chisquare([users - treated, treated], expected).pvalue)
