"""The inputs of training, checked before any worker starts. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.built.columns import encoder_that_wrote, how_to_build, lacking
from camoe.contracts.built.definitions import definitions, read_definitions
from camoe.contracts.days import day_list
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import SnapshotError
from camoe.contracts.features import FeatureSet
from camoe.contracts.runs import RunRecord, active_records, require_fresh
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, FEATURES_PROPERTY, SLOTS_PROPERTY
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.snapshot import Snapshot, logged, opened
from camoe.stream.reading.columns import Columns, model_columns

# By whose hash rows are dealt to folds.
USER = "user_id"


@dataclass(frozen=True)
class KnownLabels:
    """The latest time as of which labels of training and validation days were taken.

    `late` are the days of which that time lies after the one that the configuration names for them.
    """

    as_of: datetime
    late: tuple[date, ...] = ()

    def __str__(self) -> str:
        """Return what to know of late ones, else nothing."""
        if not self.late:
            return ""
        return (
            f"; labels of {day_list(self.late)} are those known at {self.as_of.isoformat()}, later than training could "
            "have run for the test days: build these days again, or declare the as_of of train and validation"
        )


@dataclass(frozen=True)
class TrainingInputs:
    """The pinned rows, the encoder they were written with, and when their labels were known.

    `both` are the rows of training and validation days.
    """

    version: int
    train: Snapshot
    validation: Snapshot
    both: Snapshot
    encoder: Encoder
    labels: KnownLabels


def open_training_inputs(config: Config, version: int | None = None) -> TrainingInputs:
    """Pin the training table at `version` (default: the newest) and cut it into training and validation days.

    No file of another day is opened, so that none can hinder.

    Raises:
        SnapshotError: no table, a day without rows, or a table made from other features.
        RunError: a training or validation day is stale, or the record of a run is missing.
        EncoderError: the encoder of the table is missing or damaged.
    """
    retries = config.training.stream.retries
    snapshot = logged(config.training_table, version, retries)
    first, second = config.days.train.days(), config.days.validation.days()
    records = active_records(snapshot, config.layout.runs)
    columns = training_columns(config)
    read = {day: records[day] for day in first + second if day in records}
    require_features(snapshot, config.model_features, read, columns.targets)
    require_slots(snapshot, config.slots)
    require_columns(snapshot, columns)
    rows = opened(snapshot, {*first, *second}, retries)
    train, validation = rows.on(first), rows.on(second)
    require_fresh(records, first + second, f"{snapshot.table} version {snapshot.version}")
    fitted_on = config.days.train.first, config.days.train.last
    wrote = encoder_that_wrote(config.layout.encoder, {day: records[day] for day in first}, config.features)
    encoder = encoders.read_fitted_on(config.layout.encoder, fitted_on, wrote)
    labels = _known_labels(config, {day: records[day] for day in first + second})
    return TrainingInputs(snapshot.version, train, validation, rows, encoder, labels)


def training_columns(config: Config) -> Columns:
    """Return the columns that training reads: the model's, the labels and what the teacher says."""
    teacher = config.training.teacher
    targets = (teacher.column,) if teacher is not None and teacher.column is not None else ()
    folds = config.training.left_out is not None or (teacher is not None and teacher.bundles)
    return model_columns(config.model_features, config.heads.objectives, keys=(USER,) if folds else (), targets=targets)


def _known_labels(config: Config, records: Mapping[date, RunRecord]) -> KnownLabels:
    taken = {day: record.labelled_as_of(day) for day, record in records.items()}
    objectives, logged_with_rows = config.sources.objectives, config.sources.impressions.labels
    # A label that stands in its row and is known at once is the same at any time.
    grow = any(name not in logged_with_rows or objectives[name].matures_s for name in config.heads.objectives)
    cuts = config.days.label_cuts()
    late = tuple(day for day, moment in sorted(taken.items()) if grow and moment > cuts[day])
    return KnownLabels(max(taken.values()), late)


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


def require_features(
    snapshot: Snapshot, features: FeatureSet, records: Mapping[date, RunRecord], targets: Sequence[str] = ()
) -> None:
    """Raise `SnapshotError` unless the days of `records` have, as declared, the `features` that are read and `targets`.

    The latter are columns.
    """
    where = f"{snapshot.table} version {snapshot.version}"
    if FEATURES_PROPERTY in snapshot.properties:
        declared = definitions(features)
        wanted = read_definitions(features) | {name: declared[name] for name in targets if name in declared}
        if missing := lacking(records, records, wanted):
            raise SnapshotError(f"{where} lacks features as they are declared: {how_to_build(missing)}")
        return
    found, schema_hash = snapshot.properties.get(FEATURE_SCHEMA_PROPERTY), features.schema_hash()
    if found != schema_hash:
        raise SnapshotError(
            f"{where} was made from feature schema {found}, "
            f"this run wants {schema_hash}; build the features again or use the configuration they were built with"
        )
