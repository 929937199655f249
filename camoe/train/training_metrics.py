"""The bundle's metrics.json, as training writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from camoe.contracts.days import Days
from camoe.metrics.intervals import optional
from camoe.train.checkpoint.history import EpochResult, History
from camoe.train.data.training_inputs import TrainingInputs
from camoe.train.loop.step import TrainStep


def training_metrics(
    days: Days,
    heads: Sequence[str],
    inputs: TrainingInputs,
    train_step: TrainStep,
    history: History,
    *,
    seconds: float,
) -> dict[str, Any]:
    """Return what metrics.json tells of a run that took `seconds`; None for figures that are not finite."""
    place, best = history.validations[history.best]
    config = train_step.config
    return {
        "epochs": [_epoch(result) for result in history.epochs],
        "best": {
            "epoch": place.epoch + 1 if place.step else place.epoch,
            "steps": history.steps_until(place),
            "validation_ne": [optional(value) for value in best.ne],
            "validation_score": optional(best.score),
        },
        "gate_weights": dict(zip(heads, best.gates, strict=True)),
        "parameters": sum(weight.numel() for weight in train_step.model.parameters()),
        "workers": train_step.workers.world.size,
        "device": train_step.workers.device.type,
        "precision": config.precision,
        "seconds": round(seconds, 2),
        "learning": {"mask": config.mask, "negatives": config.negatives},
        "data": {
            "train_days": [day.isoformat() for day in days.train.days()],
            "validation_days": [day.isoformat() for day in days.validation.days()],
            "labels_as_of": inputs.labels.as_of.isoformat(),
            "labels_late": [day.isoformat() for day in inputs.labels.late],
            "train_rows": inputs.train.rows,
            "validation_rows": inputs.validation.rows,
        },
    }


def _epoch(result: EpochResult) -> Mapping[str, Any]:
    return {
        "epoch": result.epoch + 1,
        "train_loss": sum(result.losses) / len(result.losses),
        "validation_ne": [optional(value) for value in result.validation.ne],
        "validation_score": optional(result.validation.score),
        "checks": [
            {
                "step": check.step,
                "validation_ne": [optional(value) for value in check.validation.ne],
                "validation_score": optional(check.validation.score),
            }
            for check in result.checks
        ],
        "planned": result.planned,
        "rows": result.rows,
        "seconds": round(result.seconds, 2),
        "weights_hash": result.weights_hash,
        "losses": list(result.losses),
    }
