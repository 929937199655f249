"""metrics.json: the table, paired differences, curves and the bar, from the figures of all groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import chain
from typing import Any

from camoe.bundle.code_version import code_version
from camoe.config.pipeline import Config
from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue
from camoe.evaluation.evaluate import Evaluation
from camoe.evaluation.figures import Asked, Figures, group_figures
from camoe.metrics.comparison import ALPHA, Difference, with_verdicts
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.intervals import Interval
from camoe.metrics.table import ALL, BASE_RATE, MODEL, SLOT_RATE, TRUTH

Row = Mapping[str, Any]


def metrics_document(
    config: Config,
    evaluation: Evaluation,
    model_version: str,
    against: Sequence[str] = (),
    replaces: str | None = None,
) -> dict[str, Any]:
    """Return the content of metrics.json: run, rows, differences, curves, days, bar, names. Holds None, never NaN.

    `replaces` is the model that the report before was of.
    """
    settings = config.evaluation
    groups = _ordered(config, evaluation, Asked(model_version, evaluation.predictors, tuple(against), settings))
    rows = [row for group in groups for row in group["rows"]]
    curves = {(group["objective"], group["group_kind"], group["group"]): group["curves"] for group in groups}
    return {
        "run": _run(config, evaluation, model_version, against, replaces),
        "counts": dict(evaluation.counts),
        "rows": rows,
        "champions": [row for group in groups for row in group["champions"]],
        "differences": _told(chain.from_iterable(group["differences"] for group in groups)),
        "groups": [
            {name: group[name] for name in ("objective", "group_kind", "group", "days", "curves")} for group in groups
        ],
        "fields": [asdict(field) for field in evaluation.fields],
        "bar": {name: bar(rows, name, config.slots.modalities) for name in config.heads.objectives},
        "reliability": {
            name: {
                modality: curves[name, "modality", modality]["reliability"]
                for modality in config.slots.modalities
                if (name, "modality", modality) in curves
            }
            for name in config.heads.objectives
        },
        "names": {slot.id: slot.name for slot in config.slots.slots},
    }


def _run(
    config: Config, evaluation: Evaluation, model_version: str, against: Sequence[str], replaces: str | None
) -> dict[str, Any]:
    """Describe the evaluation well enough to repeat it."""
    return {
        "code_version": code_version(),
        "config_hash": config.content_hash(),
        "model_version": model_version,
        "against": list(against),
        "not_kept": {version: list(kinds) for version, kinds in evaluation.not_kept.items() if kinds},
        "replaces": replaces,
        "snapshot_version": evaluation.snapshot_version,
        "train_days": [config.days.train.first.isoformat(), config.days.train.last.isoformat()],
        "test_days": [day.isoformat() for day in config.days.test.days()],
        "ece_bins": config.evaluation.ece_bins,
        "user_buckets": config.evaluation.user_buckets,
        "bootstrap": config.evaluation.bootstrap,
        "seed": config.evaluation.seed,
        "alpha": ALPHA,
    }


def _told(found: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the differences with verdicts: the correction needs those of all groups."""
    items = [
        Difference(**{**item, "interval": None if item["interval"] is None else Interval(**item["interval"])})
        for item in found
    ]
    return [asdict(item) for item in with_verdicts(items)]


def _ordered(config: Config, evaluation: Evaluation, asked: Asked) -> list[Figures]:
    """Return the figures in the order of the report, also of declared groups without impressions.

    The values of a field come as they are, those with the most impressions first.
    """
    found = {(one["objective"], one["group_kind"], one["group"]): one for one in evaluation.figures}
    declared = _declared(config.heads, config.slots, config.evaluation)
    fixed = [found.get(key) or group_figures(*key, (), asked) for key in declared]
    fields = [field.name for field in config.evaluation.fields]
    values = [one for key, one in found.items() if key[1] in fields]

    def place(one: Figures) -> tuple[int, int, int, str]:
        objective = config.heads.objectives.index(one["objective"])
        return objective, fields.index(one["group_kind"]), -one["rows"][0]["impressions"], one["group"]

    return fixed + sorted(values, key=place)


def _declared(heads: HeadSet, slots: SlotCatalogue, settings: EvaluationConfig) -> list[tuple[str, str, str]]:
    """Name every group of every objective, in the order of the report."""
    keys = []
    for objective in heads.objectives:
        members = {
            "slot": [slot.id for slot in slots.slots],
            "modality": list(slots.modalities),
            "head": [head.name for head in heads.heads if head.objective == objective],
        }
        groups = [(kind, group) for kind in settings.groups for group in members[kind]] + [(ALL, ALL)]
        keys += [(objective, kind, group) for kind, group in groups]
    return keys


def bar(rows: Sequence[Row], objective: str, modalities: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Place the model, per modality, between base rate and truth in NE, and against knowing the slot only in ROC-AUC.

    `gap_closed` is (ne_base - ne_model) / (ne_base - ne_truth); None without a truth that beats the base rate.
    """
    found = {
        (row["group"], row["predictor"]): row
        for row in rows
        if (row["objective"], row["group_kind"]) == (objective, "modality")
    }
    return {
        name: _bar(*(found.get((name, who)) for who in (BASE_RATE, MODEL, SLOT_RATE, TRUTH))) for name in modalities
    }


def _bar(base: Row | None, model: Row | None, slot_rate: Row | None, truth: Row | None) -> dict[str, float | None]:
    ne_base, ne_model, ne_truth = (row["ne"] if row else None for row in (base, model, truth))
    gap = None
    if ne_base is not None and ne_model is not None and ne_truth is not None and ne_truth < ne_base:
        gap = (ne_base - ne_model) / (ne_base - ne_truth)
    return {
        "ne_base": ne_base,
        "ne_model": ne_model,
        "ne_slot_rate": slot_rate["ne"] if slot_rate else None,
        "ne_truth": ne_truth,
        "gap_closed": gap,
        "auc_model": model["roc_auc"] if model else None,
        "auc_slot_rate": slot_rate["roc_auc"] if slot_rate else None,
        "auc_truth": truth["roc_auc"] if truth else None,
    }
