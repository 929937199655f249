"""The bundle's metrics.json, as training writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from camoe.config.pipeline import Config
from camoe.metrics.intervals import optional
from camoe.train.checkpoint.history import EpochResult, History, Validation
from camoe.train.data.training_inputs import TrainingInputs
from camoe.train.loop.step import TrainStep


def training_metrics(
    config: Config,
    inputs: TrainingInputs,
    train_step: TrainStep,
    members: Sequence[History],
) -> dict[str, Any]:
    """Return what metrics.json tells of how `members` learned; None for figures that are not finite.

    They are the histories of the models that were validated.
    """
    learned, days, heads = train_step.config, config.days, config.heads.heads
    first, *further = members
    _, best = first.validations[first.best]
    size = sum(weight.numel() for weight in train_step.model.parameters())
    return {
        **_chosen(first),
        "gate_weights": {head.name: gates for head, gates in zip(heads, best.gates, strict=True)},
        "members": [_chosen(one) for one in further],
        "refit": [],
        "parameters": size * len(members),
        "workers": train_step.workers.world.size,
        "device": train_step.workers.device.type,
        "precision": learned.precision,
        "learning": {"mask": learned.mask, "negatives": learned.negatives},
        "data": {
            "train_days": [day.isoformat() for day in days.train.days()],
            "validation_days": [day.isoformat() for day in days.validation.days()],
            "labels_as_of": inputs.labels.as_of.isoformat(),
            "labels_late": [day.isoformat() for day in inputs.labels.late],
            "train_rows": inputs.train.rows,
            "validation_rows": inputs.validation.rows,
        },
    }


def refit_metrics(refits: Sequence[History]) -> list[dict[str, Any]]:
    """Return what metrics.json tells of how the models learned anew that a bundle holds in place of the validated."""
    return [{"epochs": [_epoch(result) for result in one.epochs], "steps": one.steps} for one in refits]


def _chosen(history: History) -> dict[str, Any]:
    """Return a run's epochs, and where in it the weights are from that were kept."""
    place, best = history.validations[history.best]
    epoch = place.epoch + 1 if place.step else place.epoch
    chosen = {"epoch": epoch, "steps": history.steps_until(place), **_validation(best)}
    return {"epochs": [_epoch(result) for result in history.epochs], "best": chosen}


def _epoch(result: EpochResult) -> Mapping[str, Any]:
    return {
        "epoch": result.epoch + 1,
        "train_loss": sum(result.losses) / len(result.losses),
        **_validation(result.validation),
        "checks": [{"step": check.step, **_validation(check.validation)} for check in result.checks],
        "planned": result.planned,
        "rows": result.rows,
        "seconds": round(result.seconds, 2),
        "weights_hash": result.weights_hash,
        "losses": list(result.losses),
    }


def _validation(found: Validation) -> Mapping[str, Any]:
    return {
        "validation_ne": [optional(value) for value in found.ne],
        "validation_score": optional(found.score),
        "validation_gates": [list(gates) for gates in found.gates],
    }
