"""The training table: its columns, its files, and the one commit that replaces the configured days."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from math import ceil, sqrt
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.features import FeatureSet
from camoe.contracts.layout import FEATURE_SCHEMA_PROPERTY, KEYS, SLOTS_PROPERTY, TRAINING_PARTITIONS, label_column
from camoe.contracts.slots import SlotCatalogue, only_appended
from features.commit import Commit, Run, commit_after, latest_version, signed

SAFE_FOR_FILE_READERS = {"delta.enableDeletionVectors": "false", "delta.columnMapping.mode": "none"}


@dataclass(frozen=True)
class Target:
    """A training table: where it lies, its properties, and whether a table of another schema may be replaced."""

    path: Path
    properties: Mapping[str, str]
    replace: bool = False

    @property
    def identifier(self) -> str:
        """The table in SQL."""
        return f"delta.`{self.path.resolve()}`"


def training_rows(
    encoded: DataFrame, slots: SlotCatalogue, objectives: Collection[str], features: FeatureSet, as_of: datetime
) -> DataFrame:
    """The training table's columns, in order: keys, date, labels, features, physical ids, partition names."""
    ids = {slot.id: (slots.slot_id(slot.id), slots.modality_id(slot.id), slot.modality) for slot in slots.slots}
    return encoded.select(
        *KEYS,
        "date",
        *[label_column(objective) for objective in objectives],
        F.lit(as_of).alias("label_as_of"),
        *features.categorical_columns,
        *features.numeric_columns,
        _by_slot({name: modality for name, (_, modality, _) in ids.items()}).cast("int").alias("modality_id"),
        _by_slot({name: slot for name, (slot, _, _) in ids.items()}).cast("int").alias("slot_id"),
        _by_slot({name: modality for name, (_, _, modality) in ids.items()}).alias("modality"),
        "slot",
    )


def files_needed(rows: int, rows_per_file: int) -> int:
    """Files that a cell of `rows` rows is cut into.

    They are aimed four standard deviations below `rows_per_file`, because ranges of the hash differ in rows.
    """
    if rows <= rows_per_file:
        return 1
    return ceil(rows / max(rows_per_file - ceil(4 * sqrt(rows_per_file)), ceil(rows_per_file / 2)))


def as_files(rows: DataFrame, cells: Mapping[tuple[date, str], int], rows_per_file: int) -> DataFrame:
    """Arrange rows so that a file holds one slot and one day in the order of hash(impression_id).

    `cells` are the rows of each (day, slot). A large cell is cut by ranges of the hash, so that several tasks write it.
    """
    files = {cell: files_needed(count, rows_per_file) for cell, count in cells.items()}
    digest = F.xxhash64("impression_id")
    share = F.shiftrightunsigned(digest, 32) / F.lit(2.0**32)
    several = [
        F.when((F.col("date") == day) & (F.col("slot") == slot), F.floor(share * count))
        for (day, slot), count in files.items()
        if count > 1
    ]
    part = F.coalesce(*several, F.lit(0))
    return (
        rows.withColumn("_part", part)
        .repartition("date", "slot", "_part")
        .drop("_part")
        .sortWithinPartitions(*TRAINING_PARTITIONS, digest, "impression_id")
    )


def require_compatible(spark: SparkSession, target: Target) -> None:
    """Raise `InputError` when a table with other features is there already and may not be replaced."""
    if target.replace or not DeltaTable.isDeltaTable(spark, str(target.path)):
        return
    there = _properties(spark, target)
    found = there.get(FEATURE_SCHEMA_PROPERTY, "none")
    wanted = target.properties[FEATURE_SCHEMA_PROPERTY]
    if found != wanted:
        raise InputError(
            f"{target.path} was built with other features (schema {found}, now {wanted}), and one table cannot hold "
            "both; build into a new out= or replace the whole table with --replace"
        )
    slots, now = there.get(SLOTS_PROPERTY, "none"), target.properties[SLOTS_PROPERTY]
    if not only_appended(slots, now):
        raise InputError(
            f"{target.path} was built with the slots {slots}, now they are {now}: its slot ids would change their "
            "meaning; append new slots at the end, or replace the whole table with --replace"
        )


def require_same_columns(rows: DataFrame, target: Target) -> None:
    """Raise `InputError` when the table that is there has other columns or types and may not be replaced."""
    spark = rows.sparkSession
    if target.replace or not DeltaTable.isDeltaTable(spark, str(target.path)):
        return
    there = set(spark.read.format("delta").load(str(target.path)).dtypes)
    differing = sorted({name for name, _ in there ^ set(rows.dtypes)})
    if differing:
        raise InputError(
            f"{target.path} has other columns or types than this build ({', '.join(differing)}), as after a change of "
            "objectives; build into a new out= or replace the whole table with --replace"
        )


def write_training(rows: DataFrame, target: Target, days: Sequence[date], rows_per_file: int, run: Run) -> Commit:
    """Replace `days` in one commit, or create the table; returns the commit as the table's log tells it."""
    spark = rows.sparkSession
    before = latest_version(spark, target.path)
    if target.replace or before < 0:
        new = rows.writeTo(target.identifier).using("delta").option("maxRecordsPerFile", rows_per_file)
        for key, value in {**SAFE_FOR_FILE_READERS, **target.properties}.items():
            new = new.tableProperty(key, value)
        partitioned = new.partitionedBy(*[F.col(name) for name in TRAINING_PARTITIONS])
        with signed(spark, run):
            partitioned.createOrReplace()
    else:
        _set_properties(spark, target)
        listed = ", ".join(f"'{day.isoformat()}'" for day in days)
        writer = rows.write.format("delta").mode("overwrite").option("maxRecordsPerFile", rows_per_file)
        with signed(spark, run):
            writer.option("replaceWhere", f"date IN ({listed})").save(str(target.path))
    return commit_after(spark, target.path, before, run)


def _by_slot(values: Mapping[str, int] | Mapping[str, str]) -> Column:
    return F.coalesce(*[F.when(F.col("slot") == slot, F.lit(value)) for slot, value in values.items()])


def _properties(spark: SparkSession, target: Target) -> dict[str, str]:
    return {row["key"]: row["value"] for row in spark.sql(f"SHOW TBLPROPERTIES {target.identifier}").collect()}


def _set_properties(spark: SparkSession, target: Target) -> None:
    # A newer encoder only adds entries, so rows written before stay valid under it.
    found = _properties(spark, target)
    changed = {key: value for key, value in target.properties.items() if found.get(key) != value}
    if changed:
        pairs = ", ".join(f"'{key}' = '{value}'" for key, value in changed.items())
        spark.sql(f"ALTER TABLE {target.identifier} SET TBLPROPERTIES ({pairs})")
