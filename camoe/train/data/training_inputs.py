"""The inputs of training, checked before any worker starts. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import SnapshotError
from camoe.contracts.runs import active_records, encoder_version, require_fresh
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, SLOTS_PROPERTY
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.snapshot import Snapshot, logged, opened
from camoe.stream.reading.columns import Columns, model_columns


@dataclass(frozen=True)
class TrainingInputs:
    """The pinned rows and the encoder they were written with."""

    version: int
    train: Snapshot
    validation: Snapshot
    encoder: Encoder


def open_training_inputs(config: Config, version: int | None = None) -> TrainingInputs:
    """Pin the training table at `version` (default: the newest) and cut it into training and validation days.

    No file of another day is opened, so that none can hinder.

    Raises:
        SnapshotError: no table, a day without rows, or a table made from other features.
        RunError: a training or validation day is stale, or the record of a run is missing.
        EncoderError: the encoder of the table is missing or damaged.
    """
    retries = config.training.stream.retries
    snapshot = logged(config.training.table or config.layout.training, version, retries)
    require_features(snapshot, config.features.schema_hash())
    require_slots(snapshot, config.slots)
    require_columns(snapshot, model_columns(config.features, config.heads.objectives))
    first, second = config.days.train.days(), config.days.validation.days()
    rows = opened(snapshot, {*first, *second}, retries)
    train, validation = rows.on(first), rows.on(second)
    records = active_records(snapshot, config.layout.runs)
    require_fresh(records, first + second, f"{snapshot.table} version {snapshot.version}")
    encoder = encoders.read(config.layout.encoder, encoder_version(records))
    return TrainingInputs(snapshot.version, train, validation, encoder)


def require_slots(snapshot: Snapshot, slots: SlotCatalogue) -> None:
    """Raise `SnapshotError` unless the slot ids of the table's rows mean what they mean in `slots`."""
    found = snapshot.properties.get(SLOTS_PROPERTY, "none")
    if not slots.continues(found):
        raise SnapshotError(
            f"{snapshot.table} version {snapshot.version} was built with the slots {found}, "
            f"this run has {slots.listing()}; slots may only be appended: build the features again with --replace"
        )


def require_columns(snapshot: Snapshot, columns: Columns) -> None:
    """Raise `SnapshotError` unless the table has all `columns`, as it lacks a label that was declared later."""
    missing = sorted(set(columns.names) - set(snapshot.columns))
    if missing:
        raise SnapshotError(
            f"{snapshot.table} version {snapshot.version} has no column {', '.join(missing)}; "
            "build the features again with --replace"
        )


def require_features(snapshot: Snapshot, schema_hash: str) -> None:
    """Raise `SnapshotError` unless the table's rows were made from the features of `schema_hash`."""
    found = snapshot.properties.get(FEATURE_SCHEMA_PROPERTY)
    if found != schema_hash:
        raise SnapshotError(
            f"{snapshot.table} version {snapshot.version} was made from feature schema {found}, "
            f"this run wants {schema_hash}; build the features again or use the configuration they were built with"
        )
