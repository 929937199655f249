"""One row of the report's table: the metrics of one predictor on one group of impressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from camoe.metrics.calibration import calibration_noise_floor, expected_calibration_error, normalised_entropy, pcoc
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.intervals import Estimate, Interval, optional
from camoe.metrics.ranking import average_precision, average_precision_bounds, ratio, roc_auc

ALL = "all"
# Predictors: calibrated probabilities, those before calibration, and what a model must be held against.
MODEL, MODEL_RAW, BASE_RATE, SLOT_RATE, TRUTH = "model", "model_raw", "base_rate", "slot_rate", "truth"
# The metrics that get intervals and paired differences.
RESAMPLED = {"auc_pr": average_precision, "ne": normalised_entropy}


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

    `auc_pr` is average precision with tied logit bins; the unbinned value lies between its bounds. `ece` is over
    equal-mass bins, `ece_floor` what a perfectly calibrated model would show. `label_unknown` rows are in no metric.
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
    roc_auc: float | None
    ne: float | None
    ne_interval: Interval | None
    ece: float | None
    ece_floor: float | None
    mean_predicted: float | None
    observed: float | None
    pcoc: float | None


def metric_row(
    key: StateKey, state: Histogram, resampled: Mapping[str, Estimate], settings: EvaluationConfig
) -> MetricRow:
    """Return all metrics of one state; `resampled` holds its `RESAMPLED` ones."""
    bins = state.bins()
    auc_pr, ne = (resampled[name] for name in RESAMPLED)
    lower, upper = average_precision_bounds(bins)
    return MetricRow(
        **asdict(key),
        impressions=state.rows,
        clicks=state.clicks,
        label_unknown=state.unknown,
        auc_pr=optional(auc_pr.value),
        auc_pr_lower=optional(lower),
        auc_pr_upper=optional(upper),
        auc_pr_interval=auc_pr.interval,
        roc_auc=optional(roc_auc(bins)),
        ne=optional(ne.value),
        ne_interval=ne.interval,
        ece=expected_calibration_error(bins, settings.ece_bins),
        ece_floor=calibration_noise_floor(bins, settings.ece_bins, settings.bootstrap, settings.seed),
        mean_predicted=optional(ratio(bins.p_sum.sum(), bins.count.sum())),
        observed=optional(ratio(bins.positives.sum(), bins.count.sum())),
        pcoc=optional(pcoc(bins)),
    )
