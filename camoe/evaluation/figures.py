"""The figures of one group, made of its states: metrics, differences, days and curves. Plain data, as JSON holds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np

from camoe.metrics.calibration import reliability
from camoe.metrics.comparison import Sampled, differences, require_same_rows, same_rows, sampled
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Bins
from camoe.metrics.ranking import ratio
from camoe.metrics.state import State, add_states
from camoe.metrics.table import MODEL, StateKey, metric_row

# Points of a curve, and bins of the distribution of scores.
CURVE_POINTS = 60
SCORE_BINS = 30
Figures = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """What figures are asked of a group: of a model, its predictors, and the models that it is held against.

    `not_kept` are kinds of groups, by the model that it is held against, of which that one has no states as this one's.
    """

    model_version: str
    predictors: tuple[str, ...]
    against: tuple[str, ...]
    settings: EvaluationConfig
    not_kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Kept:
    """A state of a group, on a day."""

    model_version: str
    predictor: str
    day: date
    state: State


def group_figures(objective: str, kind: str, group: str, kept: Iterable[Kept], asked: Asked) -> Figures:
    """Return the figures of a group: `rows` of each predictor, `champions`, `differences`, `days` and `curves`.

    Raises:
        MetricError: a model that this one is held against has states of other rows.
    """
    by_day: dict[tuple[str, str], dict[date, State]] = {}
    for item in kept:
        by_day.setdefault((item.model_version, item.predictor), {})[item.day] = item.state
    whole = {key: add_states(days.values()) for key, days in by_day.items()}
    nothing = State.empty(asked.settings.user_buckets)
    model = whole.get((asked.model_version, MODEL), nothing)
    # Of a field of which sums alone are kept there is the model only.
    names = asked.predictors if model.bins is not None else (MODEL,)
    found = {name: sampled(whole.get((asked.model_version, name), nothing), asked.settings) for name in names}
    key = StateKey(objective, kind, group, MODEL)
    champions = {}
    for version in (name for name in asked.against if kind not in asked.not_kept.get(name, ())):
        state = whole.get((version, MODEL), State.empty(model.users.buckets))
        # Another model may have other heads, or other slots in a head of the same name.
        if kind != "head" or same_rows(model, state):
            require_same_rows(key, model, state, f"model {version}")
            champions[version] = sampled(state, asked.settings)
    others = {name: one for name, one in found.items() if name != MODEL} | champions
    compared = [item for name, one in others.items() for item in differences(key, found[MODEL], one, name)]
    return {
        "objective": objective,
        "group_kind": kind,
        "group": group,
        "rows": [_row(replace(key, predictor=name), one, asked) for name, one in found.items()],
        "champions": [{"model_version": version, **_row(key, one, asked)} for version, one in champions.items()],
        "differences": [asdict(item) for item in compared],
        "days": _days(by_day.get((asked.model_version, MODEL), {})),
        "curves": {} if model.bins is None else _curves({MODEL: found[MODEL], **champions}, asked),
    }


def _row(key: StateKey, one: Sampled, asked: Asked) -> dict[str, Any]:
    return asdict(metric_row(key, one.state, one.estimates, asked.settings))


def _days(states: Mapping[date, State]) -> list[dict[str, Any]]:
    """Return predicted and observed rate of each day."""
    found = []
    for day, state in sorted(states.items()):
        bins = state.whole.bins()
        rows, clicks, predicted = (float(of.sum()) for of in (bins.count, bins.positives, bins.p_sum))
        found.append(
            {
                "date": day.isoformat(),
                "impressions": int(rows),
                "clicks": int(clicks),
                "mean_predicted": predicted / rows if rows else None,
                "observed": clicks / rows if rows else None,
            }
        )
    return found


def _curves(models: Mapping[str, Sampled], asked: Asked) -> dict[str, Any]:
    bins = models[MODEL].state.whole.bins()
    return {
        "precision_recall": {name: precision_recall(one.state.whole.bins()) for name, one in models.items()},
        "reliability": [asdict(point) for point in reliability(bins, asked.settings.ece_bins)],
        "scores": score_distribution(bins),
    }


def precision_recall(bins: Bins, points: int = CURVE_POINTS) -> list[list[float]]:
    """Return (recall, precision) at about `points` steps of recall, from the highest prediction down."""
    hits, shown = np.cumsum(bins.positives), np.cumsum(bins.count)
    if not len(hits) or not hits[-1]:
        return []
    recall, precision = hits / hits[-1], ratio(hits, shown)
    first = np.unique(np.searchsorted(recall, np.linspace(0, 1, points + 1)[1:] - 1e-12))
    return [[round(float(recall[at]), 4), float(f"{precision[at]:.4g}")] for at in first]


def score_distribution(bins: Bins, number: int = SCORE_BINS) -> list[dict[str, float]]:
    """Return how many rows and clicks have predictions from `low` to `high`, in steps of equal ratio."""
    rows = bins.count > 0
    p = bins.p_sum[rows] / bins.count[rows]
    if not len(p):
        return []
    low, high = max(float(p.min()), 1e-6), max(float(p.max()), 1e-6)
    edges = np.geomspace(low, high * (1 + 1e-9), number + 1) if high > low else np.array([low * 0.9, low * 1.1])
    place = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, len(edges) - 2)
    count, clicks = (
        np.bincount(place, weights=of[rows], minlength=len(edges) - 1) for of in (bins.count, bins.positives)
    )
    return [
        {"low": float(f"{edges[at]:.4g}"), "high": float(f"{edges[at + 1]:.4g}"), "count": int(n), "clicks": int(k)}
        for at, (n, k) in enumerate(zip(count, clicks, strict=True))
    ]
