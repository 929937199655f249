"""The training table: its columns, its files, its constraints, and rules for writing over an existing one."""

from __future__ import annotations

import json
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
    FEATURES_PROPERTY,
    IMPRESSION_KEYS,
    PARTS_PROPERTY,
    PHYSICAL_IDS,
    RUN_ID,
    SETTINGS_PROPERTY,
    SLOTS_PROPERTY,
    TRAINING_PARTITIONS,
    label_column,
)
from camoe.contracts.slots import SlotCatalogue, only_appended
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import is_remote, location_of
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

    One at an address is never replaced. `added` are the features that are added to days that are built.
    """

    path: Path | str
    properties: Mapping[str, str]
    slots: SlotCatalogue
    objectives: tuple[str, ...]
    replace: bool = False
    added: tuple[str, ...] = ()

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

    def noted(self, there: Mapping[str, str]) -> dict[str, dict[str, str]]:
        """Return what the properties `there` note of features and settings one by one, with what is `added`."""
        features, parts = (json.loads(self.properties[name]) for name in (FEATURES_PROPERTY, PARTS_PROPERTY))
        return {
            FEATURES_PROPERTY: json.loads(there[FEATURES_PROPERTY]) | {name: features[name] for name in self.added},
            PARTS_PROPERTY: json.loads(there[PARTS_PROPERTY]) | parts,
        }


def training_rows(
    encoded: DataFrame,
    slots: SlotCatalogue,
    objectives: Collection[str],
    features: FeatureSet,
    *,
    as_of: Column,
    run_id: str,
) -> DataFrame:
    """Return the columns of a training table that is made, in its order.

    The run stands among the first 32 columns, of which Delta keeps each file's least and greatest value.
    """
    ids = {slot.id: (slots.slot_id(slot.id), slots.modality_id(slot.id), slot.modality) for slot in slots.slots}
    made = {
        RUN_ID: F.lit(run_id),
        "label_as_of": as_of,
        "modality_id": _by_slot({name: modality for name, (_, modality, _) in ids.items()}).cast("int"),
        "slot_id": _by_slot({name: slot for name, (slot, _, _) in ids.items()}).cast("int"),
        "modality": _by_slot({name: modality for name, (_, _, modality) in ids.items()}),
    }
    return encoded.withColumns(made).select(*columns_in_order(objectives, features))


def columns_in_order(objectives: Collection[str], features: FeatureSet) -> tuple[str, ...]:
    """Return the columns of a table that is made: keys, run, date, labels, features and targets, ids, partitions."""
    labels = [label_column(objective) for objective in objectives]
    columns = (*features.columns, *[target.column for target in features.targets])
    return (*IMPRESSION_KEYS, RUN_ID, "date", *labels, "label_as_of", *columns, *PHYSICAL_IDS, "modality", "slot")


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
    if problem and is_remote(str(target.path)):
        raise InputError(f"{target.path} was built with {problem}; build into another address (training.table=)")
    if problem and not target.replace:
        raise InputError(f"{target.path} was built with {problem}; build into a new out= or replace it with --replace")
    return bool(problem)


def lacks_slots(target: TrainingTable) -> bool:
    """Return whether the table lacks slots of the catalogue, or has lost its constraint on them, if it has any.

    A run that was killed while it appended slots may leave the table without one.
    """
    there, wanted = target.found(), target.properties[SLOTS_PROPERTY]
    lost = SLOT_CONSTRAINT not in there and not is_remote(str(target.path))
    return lost or there.get(SLOTS_PROPERTY) != wanted


def require_same_columns(rows: DataFrame, target: TrainingTable) -> None:
    """Raise `InputError` when the existing table lacks columns, or has other types, as after a change of the raw data.

    It may have more: those of features that other days have.
    """
    there = {(field.name, field.dataType.simpleString()) for field in schema_of(target.path)}
    differing = sorted({name for name, _ in set(rows.dtypes) - there})
    if differing:
        raise InputError(
            f"{target.path} has other columns or types than this build ({', '.join(differing)}); mend the types in the "
            "sources, build into a new out=, or remove the table"
        )


def in_columns_of(rows: DataFrame, target: TrainingTable) -> DataFrame:
    """Return the rows with the columns of the existing table, in its order; null where they lack one."""
    have = set(rows.columns)
    return rows.select(
        *[
            F.col(field.name) if field.name in have else F.lit(None).cast(field.dataType).alias(field.name)
            for field in schema_of(target.path)
        ]
    )


def _difference(target: TrainingTable) -> str:
    there, wanted = target.found(), target.properties
    slots, now = there.get(SLOTS_PROPERTY, "none"), wanted[SLOTS_PROPERTY]
    if not only_appended(slots, now):
        return f"the slots {slots}, now they are {now}, so slot ids would change their meaning (slots may be appended)"
    if FEATURES_PROPERTY in there and FEATURES_PROPERTY in wanted:
        return _other_parts(target, there)
    if target.added:
        return "an older version, which did not note each feature: none can be added"
    if there.get(FEATURE_SCHEMA_PROPERTY) != wanted[FEATURE_SCHEMA_PROPERTY]:
        return "other features, and one table cannot hold both"
    found, settings = there.get(SETTINGS_PROPERTY, "none"), wanted[SETTINGS_PROPERTY]
    if found != settings:
        return f"other settings (hash {found}, now {settings}: sources, objectives or time zone)"
    return ""


def _other_parts(target: TrainingTable, there: Mapping[str, str]) -> str:
    """Return what differs from the table in what it has, too: days may lack features that others have."""
    known, wanted = json.loads(there[PARTS_PROPERTY]), json.loads(target.properties[PARTS_PROPERTY])
    changed = [name for name in wanted if known.get(name, wanted[name]) != wanted[name]]
    if changed:
        return f"other settings ({', '.join(changed)}: sources, objectives or time zone)"
    if target.added:
        return ""
    new = [name for name in wanted if name not in known]
    known, wanted = json.loads(there[FEATURES_PROPERTY]), json.loads(target.properties[FEATURES_PROPERTY])
    features = [name for name in wanted if known.get(name) != wanted[name]]
    if features:
        add = f"jobs/add_columns.py --columns {','.join(features)}"
        return f"other features ({', '.join(features)}), which {add} adds to built days"
    return f"settings that lack {', '.join(new)}, which jobs/add_columns.py adds with a feature of them" if new else ""


def _by_slot(values: Mapping[str, int] | Mapping[str, str]) -> Column:
    return F.coalesce(*[F.when(F.col("slot") == slot, F.lit(value)) for slot, value in values.items()])
