"""One row of the report's table: the metrics of one predictor on one group of impressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from camoe.metrics.calibration import calibration_noise_floor
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.intervals import Estimate, Interval, optional, pcoc_interval
from camoe.metrics.ranking import average_precision_bounds, ratio
from camoe.metrics.state import State

ALL = "all"
# Predictors: calibrated probabilities, those before calibration, and what a model must be held against.
MODEL, MODEL_RAW, BASE_RATE, SLOT_RATE, TRUTH = "model", "model_raw", "base_rate", "slot_rate", "truth"


@dataclass(frozen=True)
class StateKey:
    """Name of a state: which rows, and whose predictions, it sums; (`all`, `all`) is the group of every row."""

    objective: str
    group_kind: str
    group: str
    predictor: str


@dataclass(frozen=True)
class MetricRow:
    """Metrics of `predictor` on the labelled impressions of `group`; None where a metric is undefined.

    `auc_pr` is average precision with tied logit bins; the unbinned value lies between its bounds. `auc_pr_lift` is it
    over the observed rate. `ece` is over equal-mass bins, `ece_floor` what a perfectly calibrated model would show.
    `label_unknown` rows are in no metric.
    """

    objective: str
    group_kind: str
    group: str
    predictor: str
    impressions: int
    clicks: int
    label_unknown: int
    auc_pr: float | None
    auc_pr_lower: float | None
    auc_pr_upper: float | None
    auc_pr_interval: Interval | None
    auc_pr_lift: float | None
    auc_pr_lift_interval: Interval | None
    roc_auc: float | None
    roc_auc_interval: Interval | None
    ne: float | None
    ne_interval: Interval | None
    ece: float | None
    ece_interval: Interval | None
    ece_floor: float | None
    mean_predicted: float | None
    observed: float | None
    observed_interval: Interval | None
    pcoc: float | None
    pcoc_interval: Interval | None


def metric_row(key: StateKey, state: State, resampled: Mapping[str, Estimate], settings: EvaluationConfig) -> MetricRow:
    """Return all metrics of one state; `resampled` holds the estimates of its `measures`."""
    whole, ordered = state.whole.bins(), state.bins is not None
    lower, upper = average_precision_bounds(whole) if ordered else (None, None)
    values = {name: optional(found.value) for name, found in resampled.items()}
    intervals = {name: found.interval for name, found in resampled.items()}
    # Of the wide bins: as good for what chance does, and many times as quick.
    chance = state.users.bins()
    return MetricRow(
        **asdict(key),
        impressions=state.whole.rows,
        clicks=state.whole.clicks,
        label_unknown=state.whole.unknown,
        auc_pr=values["auc_pr"],
        auc_pr_lower=None if lower is None else optional(lower),
        auc_pr_upper=None if upper is None else optional(upper),
        auc_pr_interval=intervals["auc_pr"],
        auc_pr_lift=values["auc_pr_lift"],
        auc_pr_lift_interval=intervals["auc_pr_lift"],
        roc_auc=values["roc_auc"],
        roc_auc_interval=intervals["roc_auc"],
        ne=values["ne"],
        ne_interval=intervals["ne"],
        ece=values["ece"],
        ece_interval=intervals["ece"],
        ece_floor=calibration_noise_floor(chance, settings.ece_bins, settings.bootstrap, settings.seed)
        if ordered
        else None,
        mean_predicted=optional(ratio(whole.p_sum.sum(), whole.count.sum())),
        observed=values["ctr"],
        observed_interval=intervals["ctr"],
        pcoc=values["pcoc"],
        pcoc_interval=pcoc_interval(float(whole.p_sum.sum()), state.whole.clicks, intervals["pcoc"]),
    )
