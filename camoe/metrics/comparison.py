"""Differences of two predictors, and the word for each: better, worse or cannot tell. Paired where rows are the same.

The rule: the difference of a metric over its standard error, by bootstrap over buckets of users, is held against
Student's t with as many degrees of freedom as buckets have rows, less one. Resamples draw the same buckets for both, so
that what other rows of the same users have in common is taken into account, too. P-values are corrected by Holm (1979)
over the groups of one kind, and below `ALPHA` a difference counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np
from scipy import stats

from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram, MetricError
from camoe.metrics.intervals import LEVEL, Estimate, Interval, bucket_weights, enough, estimates, optional
from camoe.metrics.measures import Measure, measures
from camoe.metrics.state import State
from camoe.metrics.table import StateKey

Verdict = Literal["better", "worse", "cannot tell"]
ALPHA = 0.05
# What one predictor cannot do better than another on the same rows.
NOT_COMPARED = ("ctr", "auc_pr_lift")


@dataclass(frozen=True)
class Difference:
    """A metric of `predictor` less that of `against`, over the rows of a group; None where it is undefined.

    The difference of PCOC is that of |ln PCOC|. `p` is two-sided and of this difference alone, `p_holm` corrected.
    """

    objective: str
    group_kind: str
    group: str
    predictor: str
    against: str
    metric: str
    value: float | None
    interval: Interval | None
    p: float | None
    p_holm: float | None = None
    verdict: Verdict = "cannot tell"


def compare_states(
    ours: Mapping[StateKey, State],
    theirs: Mapping[StateKey, State],
    against: str,
    settings: EvaluationConfig,
    same: bool = True,
) -> tuple[Difference, ...]:
    """Return the differences of every group and predictor that both have, ours less theirs, with verdicts.

    `same`: they are of the same rows, as two models on the same days are; two days are not.

    Raises:
        MetricError: the two are not of the same rows, users and labels, or have other numbers of buckets.
    """
    found: list[Difference] = []
    for key, state in ours.items():
        if key in theirs:
            if same:
                require_same_rows(key, state, theirs[key], against)
            elif state.users.buckets != theirs[key].users.buckets:
                raise MetricError(
                    f"{key.group_kind} {key.group}: kept in other buckets of users than {against}; evaluate anew"
                )
            found += differences(key, sampled(state, settings), sampled(theirs[key], settings), against)
    return with_verdicts(found)


@dataclass(frozen=True, eq=False)
class Sampled:
    """A state and the estimates of its measures."""

    state: State
    estimates: Mapping[str, Estimate]


def sampled(state: State, settings: EvaluationConfig) -> Sampled:
    """Return the estimates of all measures of `state`, resampled alike for all states of as many buckets."""
    weights = bucket_weights(state.users.buckets, settings.bootstrap, settings.seed)
    return Sampled(state, estimates(state, measures(settings.ece_bins), weights))


def differences(key: StateKey, ours: Sampled, theirs: Sampled, against: str) -> Iterator[Difference]:
    """Yield the difference in each measure, without corrections."""
    identity = (key.objective, key.group_kind, key.group, key.predictor, against)
    occupied = min(ours.state.occupied, theirs.state.occupied)
    for name, measure in measures(1).items():
        if name not in NOT_COMPARED:
            tested = _tested(measure, ours.estimates[name], theirs.estimates[name], occupied)
            yield Difference(*identity, name, *tested)


def _tested(
    measure: Measure, ours: Estimate, theirs: Estimate, occupied: int
) -> tuple[float | None, Interval | None, float | None]:
    """Return difference, 95 % interval and two-sided p."""

    def scale(of: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        values = np.asarray(of, np.float64)
        return measure.error(values) if measure.best == "one" else values

    value = float(scale(ours.value) - scale(theirs.value))
    samples = scale(ours.samples) - scale(theirs.samples)
    if not np.isfinite(value) or not enough(samples) or occupied < 2:
        return optional(value), None, None
    error = float(np.nanstd(samples, ddof=1))
    if error <= np.finfo(np.float64).eps * max(abs(ours.value), abs(theirs.value)):
        return value, Interval(value, value), 1.0 if abs(value) <= error else 0.0
    law = stats.t(occupied - 1)
    half = float(law.ppf((1 + LEVEL) / 2)) * error
    return value, Interval(value - half, value + half), float(2 * law.sf(abs(value) / error))


def with_verdicts(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Correct the p-values over the groups of one kind, and say of each what it means."""
    best = {name: measure.best for name, measure in measures(1).items()}

    def family(item: Difference) -> tuple[str, ...]:
        return item.objective, item.group_kind, item.predictor, item.against, item.metric

    told: list[Difference] = []
    for _, members in groupby(sorted(found, key=lambda item: (*family(item), item.group)), family):
        of = list(members)
        for item, p in zip(of, holm([item.p for item in of]), strict=True):
            verdict: Verdict = "cannot tell"
            if p is not None and p < ALPHA and item.value:
                verdict = "better" if (item.value > 0) == (best[item.metric] == "highest") else "worse"
            told.append(replace(item, p_holm=p, verdict=verdict))
    return tuple(told)


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Return p-values corrected for their number (Holm, 1979); one that is None is of no test, and stays."""
    known = [place for place, value in enumerate(p) if value is not None]
    corrected: list[float | None] = [None] * len(p)
    highest = 0.0
    for rank, place in enumerate(sorted(known, key=lambda place: p[place] or 0.0)):
        highest = max(highest, min(1.0, (len(known) - rank) * (p[place] or 0.0)))
        corrected[place] = highest
    return corrected


def same_rows(ours: State, theirs: State) -> bool:
    """Return whether both states have as many labelled rows and clicks in each bucket of users."""
    return np.array_equal(_by_bucket(ours.users), _by_bucket(theirs.users))


def require_same_rows(key: StateKey, ours: State, theirs: State, against: str) -> None:
    """Raise `MetricError` unless `same_rows`."""
    if not same_rows(ours, theirs):
        raise MetricError(
            f"{key.group_kind} {key.group} ({key.objective}) has {ours.users.rows:,} labelled rows and "
            f"{ours.users.clicks:,} clicks with one, and {theirs.users.rows:,} and {theirs.users.clicks:,} with "
            f"{against}, or they lie in other buckets of users, so the two cannot be compared in pairs; score and "
            "evaluate both from one version of the training table with the same evaluation.user_buckets"
        )


def _by_bucket(state: Histogram) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.stack(
        [
            np.bincount(state.bucket, weights=values, minlength=state.buckets)
            for values in (state.count, state.positives)
        ]
    )
