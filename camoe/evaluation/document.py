"""metrics.json: the table, paired differences, reliability and the bar, from the states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from camoe.bundle.code_version import code_version
from camoe.config.pipeline import Config
from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue
from camoe.evaluation.evaluate import Evaluation
from camoe.metrics.calibration import reliability
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.intervals import Estimate, bucket_weights, estimates, paired_difference
from camoe.metrics.table import ALL, BASE_RATE, MODEL, RESAMPLED, SLOT_RATE, TRUTH, MetricRow, StateKey, metric_row


def metrics_document(config: Config, evaluation: Evaluation, model_version: str) -> dict[str, Any]:
    """Return the content of metrics.json: run, rows, differences, bar, reliability, names. Holds None, never NaN."""
    settings = config.evaluation
    keys = _model_keys(config.heads, config.slots, settings)
    resampled = _estimates(keys, settings, evaluation)
    rows = [metric_row(key, _state(key, settings, evaluation), found, settings) for key, found in resampled.items()]
    return {
        "run": {
            "code_version": code_version(),
            "config_hash": config.content_hash(),
            "model_version": model_version,
            "snapshot_version": evaluation.snapshot_version,
            "train_days": [config.days.train.first.isoformat(), config.days.train.last.isoformat()],
            "test_days": [day.isoformat() for day in config.days.test.days()],
            "ece_bins": settings.ece_bins,
            "user_buckets": settings.user_buckets,
            "bootstrap": settings.bootstrap,
            "seed": settings.seed,
        },
        "counts": dict(evaluation.counts),
        "rows": [asdict(row) for row in rows],
        "differences": list(_differences(keys, evaluation.predictors, resampled)),
        "bar": {name: bar(rows, name, config.slots.modalities) for name in config.heads.objectives},
        "reliability": {
            name: _reliability(name, config.slots.modalities, settings, evaluation) for name in config.heads.objectives
        },
        "names": {slot.id: slot.name for slot in config.slots.slots},
    }


def bar(rows: Sequence[MetricRow], objective: str, modalities: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Place the model, per modality, between base rate and truth in NE, and against knowing the slot only in ROC-AUC.

    `gap_closed` is (ne_base - ne_model) / (ne_base - ne_truth); None without a truth that beats the base rate.
    """
    found = {
        (row.group, row.predictor): row for row in rows if (row.objective, row.group_kind) == (objective, "modality")
    }
    return {
        name: _bar(*(found.get((name, who)) for who in (BASE_RATE, MODEL, SLOT_RATE, TRUTH))) for name in modalities
    }


def _bar(
    base: MetricRow | None, model: MetricRow | None, slot_rate: MetricRow | None, truth: MetricRow | None
) -> dict[str, float | None]:
    ne_base, ne_model, ne_truth = (row.ne if row else None for row in (base, model, truth))
    gap = None
    if ne_base is not None and ne_model is not None and ne_truth is not None and ne_truth < ne_base:
        gap = (ne_base - ne_model) / (ne_base - ne_truth)
    return {
        "ne_base": ne_base,
        "ne_model": ne_model,
        "ne_truth": ne_truth,
        "gap_closed": gap,
        "auc_model": model.roc_auc if model else None,
        "auc_slot_rate": slot_rate.roc_auc if slot_rate else None,
        "auc_truth": truth.roc_auc if truth else None,
    }


def _estimates(
    model_keys: Sequence[StateKey], settings: EvaluationConfig, evaluation: Evaluation
) -> dict[StateKey, dict[str, Estimate]]:
    """Estimate `RESAMPLED` for each key and predictor, also of groups without impressions."""
    weights = bucket_weights(settings.user_buckets, settings.bootstrap, settings.seed)
    keys = [replace(key, predictor=name) for key in model_keys for name in evaluation.predictors]
    return {key: estimates(_state(key, settings, evaluation), RESAMPLED, weights) for key in keys}


def _differences(
    model_keys: Sequence[StateKey],
    predictors: Sequence[str],
    resampled: Mapping[StateKey, Mapping[str, Estimate]],
) -> Iterator[dict[str, Any]]:
    """Take each other predictor from the model, paired over user buckets, in AUC-PR and NE."""
    for key in model_keys:
        for other in (replace(key, predictor=name) for name in predictors if name != MODEL):
            for metric in RESAMPLED:
                difference = paired_difference(resampled[key][metric], resampled[other][metric])
                yield {**asdict(key), "against": other.predictor, "metric": metric, **asdict(difference)}


def _reliability(
    objective: str, modalities: Sequence[str], settings: EvaluationConfig, evaluation: Evaluation
) -> dict[str, list[dict[str, Any]]]:
    keys = {name: StateKey(objective, "modality", name, MODEL) for name in modalities}
    states = {name: _state(key, settings, evaluation) for name, key in keys.items()}
    return {
        name: [asdict(point) for point in reliability(state.bins(), settings.ece_bins)]
        for name, state in states.items()
    }


def _model_keys(heads: HeadSet, slots: SlotCatalogue, settings: EvaluationConfig) -> list[StateKey]:
    """Name the model on every group of every objective, in the order of the report."""
    keys = []
    for objective in heads.objectives:
        members = {
            "slot": [slot.id for slot in slots.slots],
            "modality": list(slots.modalities),
            "head": [head.name for head in heads.heads if head.objective == objective],
        }
        groups = [(kind, group) for kind in settings.groups for group in members[kind]] + [(ALL, ALL)]
        keys += [StateKey(objective, kind, group, MODEL) for kind, group in groups]
    return keys


def _state(key: StateKey, settings: EvaluationConfig, evaluation: Evaluation) -> Histogram:
    return evaluation.states.get(key, Histogram.empty(settings.user_buckets))
