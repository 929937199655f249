"""The training table: its columns, its files, its constraints, and rules for writing over an existing one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from math import ceil, sqrt
from pathlib import Path

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.features import FeatureSet
from camoe.contracts.schema import (
    FEATURE_SCHEMA_PROPERTY,
    IMPRESSION_KEYS,
    RUN_ID,
    SETTINGS_PROPERTY,
    SLOTS_PROPERTY,
    TRAINING_PARTITIONS,
    label_column,
)
from camoe.contracts.slots import SlotCatalogue, only_appended
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import location_of
from features.delta.commit import open_delta
from features.delta.remote import schema_of
from features.spark.rows import held_rows

SAFE_FOR_FILE_READERS = {"delta.enableDeletionVectors": "false", "delta.columnMapping.mode": "none"}
# A model's table version can be opened for as long as the log goes back; removed files are named in each checkpoint.
RETENTION = {
    "delta.logRetentionDuration": "interval 365 days",
    "delta.deletedFileRetentionDuration": "interval 30 days",
}
SLOT_CONSTRAINT = "delta.constraints.slot"


@dataclass(frozen=True)
class TrainingTable:
    """A training table: its path or address, the properties that say what its rows are, and whether it may be replaced.

    One at an address is never replaced.
    """

    path: Path | str
    properties: Mapping[str, str]
    slots: SlotCatalogue
    objectives: tuple[str, ...]
    replace: bool = False

    @property
    def identifier(self) -> str:
        """The table's name in SQL."""
        return f"delta.`{location_of(self.path)}`"

    @property
    def constraints(self) -> dict[str, str]:
        """Constraints that Delta checks on each row that anyone writes, as table properties."""
        names = ", ".join(f"'{slot.id}'" for slot in self.slots.slots)
        labels = [label_column(objective) for objective in self.objectives]
        return {
            "delta.constraints.impression_id": "impression_id IS NOT NULL",
            SLOT_CONSTRAINT: f"slot IN ({names})",
            **{f"delta.constraints.{name}": f"{name} IS NULL OR {name} IN (0, 1)" for name in labels},
        }

    def found(self) -> dict[str, str]:
        """Return the properties of the existing table."""
        return dict(open_delta(self.path).metadata().configuration)


def training_rows(
    encoded: DataFrame,
    slots: SlotCatalogue,
    objectives: Collection[str],
    features: FeatureSet,
    *,
    as_of: Column,
    run_id: str,
) -> DataFrame:
    """Return the training table's columns, in order: keys, run, date, labels, features and targets, ids, partitions.

    The run stands among the first 32 columns, of which Delta keeps each file's least and greatest value.
    """
    ids = {slot.id: (slots.slot_id(slot.id), slots.modality_id(slot.id), slot.modality) for slot in slots.slots}
    return encoded.select(
        *IMPRESSION_KEYS,
        F.lit(run_id).alias(RUN_ID),
        "date",
        *[label_column(objective) for objective in objectives],
        as_of.alias("label_as_of"),
        *features.columns,
        *[target.column for target in features.targets],
        _by_slot({name: modality for name, (_, modality, _) in ids.items()}).cast("int").alias("modality_id"),
        _by_slot({name: slot for name, (slot, _, _) in ids.items()}).cast("int").alias("slot_id"),
        _by_slot({name: modality for name, (_, _, modality) in ids.items()}).alias("modality"),
        "slot",
    )


def files_needed(rows: int, rows_per_file: int) -> int:
    """Return the number of files that a cell of `rows` rows is cut into.

    They are aimed four standard deviations below `rows_per_file`, because ranges of the hash differ in rows.
    """
    if rows <= rows_per_file:
        return 1
    return ceil(rows / max(rows_per_file - ceil(4 * sqrt(rows_per_file)), ceil(rows_per_file / 2)))


def as_files(rows: DataFrame, cells: Mapping[tuple[date, str], int], rows_per_file: int) -> DataFrame:
    """Arrange rows so that a file holds one slot and one day in the order of hash(impression_id).

    `cells` are the rows of each (day, slot). A large cell is cut by ranges of the hash, so that several tasks write it.
    The file is the unit that readers share out: parquet-mr 1.15 cuts row groups by bytes alone, so a file is one row
    group as long as its rows stay below parquet.block.size (128 MiB).
    """
    digest = F.xxhash64("impression_id")
    share = F.shiftrightunsigned(digest, 32) / F.lit(2.0**32)
    return (
        _with_files(rows, cells, rows_per_file)
        .withColumn("_part", F.floor(share * F.col("_files")))
        .repartition("date", "slot", "_part")
        .select(*rows.columns)
        .sortWithinPartitions(*TRAINING_PARTITIONS, digest, "impression_id")
    )


def _with_files(rows: DataFrame, cells: Mapping[tuple[date, str], int], rows_per_file: int) -> DataFrame:
    """Add `_files` to `rows`: the number of files that their cell is cut into."""
    counts = {cell: files_needed(count, rows_per_file) for cell, count in cells.items()}
    large = [(day, slot, count) for (day, slot), count in counts.items() if count > 1]
    if not large:
        return rows.withColumn("_files", F.lit(1))
    # Joined, because a branch for each cell makes an expression that no compiler takes once there are years of days.
    frame = held_rows(rows.sparkSession, large, "date date, slot string, _files int")
    joined = rows.join(F.broadcast(frame), on=["date", "slot"], how="left")
    return joined.withColumn("_files", F.coalesce("_files", F.lit(1)))


def is_remade(target: TrainingTable) -> bool:
    """Return whether a new table replaces the existing one, because its settings are others.

    Raises:
        InputError: they are others, and it may not be replaced.
    """
    if not is_delta_table(target.path):
        return False
    problem = _difference(target)
    if problem and not isinstance(target.path, Path):
        raise InputError(f"{target.path} was built with {problem}; build into another address (training.table=)")
    if problem and not target.replace:
        raise InputError(f"{target.path} was built with {problem}; build into a new out= or replace it with --replace")
    return bool(problem)


def lacks_slots(target: TrainingTable) -> bool:
    """Return whether the table lacks slots of the catalogue, or has lost its constraint on them, if it has any.

    A run that was killed while it appended slots may leave the table without one.
    """
    there, wanted = target.found(), target.properties[SLOTS_PROPERTY]
    lost = SLOT_CONSTRAINT not in there and isinstance(target.path, Path)
    return lost or there.get(SLOTS_PROPERTY) != wanted


def require_same_columns(rows: DataFrame, target: TrainingTable) -> None:
    """Raise `InputError` when the existing table has other columns or types, as after a change of the raw data."""
    there = {(field.name, field.dataType.simpleString()) for field in schema_of(target.path)}
    differing = sorted({name for name, _ in there ^ set(rows.dtypes)})
    if differing:
        raise InputError(
            f"{target.path} has other columns or types than this build ({', '.join(differing)}); mend the types in the "
            "sources, build into a new out=, or remove the table"
        )


def _difference(target: TrainingTable) -> str:
    there, wanted = target.found(), target.properties
    slots, now = there.get(SLOTS_PROPERTY, "none"), wanted[SLOTS_PROPERTY]
    if not only_appended(slots, now):
        return f"the slots {slots}, now they are {now}, so slot ids would change their meaning (slots may be appended)"
    if there.get(FEATURE_SCHEMA_PROPERTY) != wanted[FEATURE_SCHEMA_PROPERTY]:
        return "other features, and one table cannot hold both"
    found, settings = there.get(SETTINGS_PROPERTY, "none"), wanted[SETTINGS_PROPERTY]
    if found != settings:
        return f"other settings (hash {found}, now {settings}: sources, objectives or time zone)"
    return ""


def _by_slot(values: Mapping[str, int] | Mapping[str, str]) -> Column:
    return F.coalesce(*[F.when(F.col("slot") == slot, F.lit(value)) for slot, value in values.items()])
