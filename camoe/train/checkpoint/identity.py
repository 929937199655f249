"""The settings by which two training runs are the same run. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from camoe.bundle.manifest import read_manifest
from camoe.bundle.published import fetched
from camoe.config.pipeline import Config
from camoe.stream.planning.plan import PLAN_FORMAT
from camoe.train.checkpoint.state import TABLE_VERSION
from camoe.train.data.training_inputs import TrainingInputs

PARTS = {"slots", "heads", "features", "days", "model", "training"}
# Settings of training that change how fast, how safely and how visibly it computes, and not what; two that have become
# batch_size and rates; and those that say which parts the run has and what is served of them, not what one computes.
INDIFFERENT = (
    "checkpoint",
    "ensemble",
    "keep_bundles",
    "learning_rate_scaling",
    "refit",
    "served_experts",
    "stall_timeout_s",
    "stream.readers",
    "stream.retries",
    "stream.wait_report_s",
    "table",
    "tensorboard",
    "tracking",
    "watch_every_steps",
    "worker_batch_size",
)


def run_settings(config: Config, inputs: TrainingInputs) -> dict[str, Any]:
    """Return all that decides what a run computes, by dotted name: settings, rows, plan, encoder; not the workers."""
    flat = dict(_flat("", config.model_dump(mode="json", include=PARTS)))
    skipped = tuple(f"training.{name}" for name in INDIFFERENT)
    settings = {name: value for name, value in flat.items() if not _under(name, skipped)}
    teacher = config.training.teacher
    if teacher is not None and teacher.folders:
        # Another model may lie there by the time that the run goes on.
        settings["teacher"] = ", ".join(read_manifest(fetched(folder)).model_version for folder in teacher.folders)
    return settings | {
        TABLE_VERSION: inputs.version,
        "plan format": PLAN_FORMAT,
        "training rows": inputs.train.content_hash(),
        "validation rows": inputs.validation.content_hash(),
        "encoder version": inputs.encoder.version,
    }


def _under(name: str, roots: tuple[str, ...]) -> bool:
    return any(name == root or name.startswith(f"{root}.") for root in roots)


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), part)
    elif isinstance(value, list) and any(isinstance(part, Mapping) for part in value):
        for number, part in enumerate(value):
            yield from _flat(f"{name}.{number}", part)
    else:
        yield name, value
