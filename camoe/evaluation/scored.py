"""The test days' scored impressions beside their labels and the yardsticks that a model must be held against."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import and_
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.encoder import FIRST, UNKNOWN
from camoe.contracts.errors import InputError
from camoe.contracts.places.commits import Partitions, table_at
from camoe.contracts.schema import label_column
from camoe.contracts.snapshot import is_delta_table, logged
from camoe.contracts.storage import is_remote, location_of
from camoe.metrics.config import USER_SEEN, EvaluationConfig, PredictorConfig
from camoe.metrics.table import BASE_RATE, SLOT_RATE, TRUTH
from camoe.stream.frame import remote_frame

PREDICTION_COLUMNS = ("impression_id", "user_id", "modality", "slot", "date", "objective", "head", "p", "p_raw")
VERSION_COLUMNS = ("model_version", "snapshot_version")
# Of the predictions, what may be a field.
ID_COLUMNS = ("campaign_id",)
NOT_IN_VOCABULARY = "(not in the vocabulary)"


@dataclass(frozen=True)
class Scored:
    """Predictions of one model version on the test days: the rows, and what they were scored from.

    `rows` counts the predictions, `recalibrated` those whose `p` is not `p_raw`.
    """

    frame: DataFrame
    snapshot_version: int
    rows: int
    recalibrated: int


def read_scored(table: DataFrame, days: Sequence[date], objectives: Sequence[str], command: str) -> Scored:
    """Return the rows of `table`, predictions of one model version, on `days`.

    Raises:
        InputError: a day and objective without rows, or rows scored against several versions of the training table;
            `command` is what the message says to run.
    """
    frame = table.where(F.col("date").isin(list(days)) & F.col("objective").isin(list(objectives)))
    found = (
        frame.groupBy("date", "objective", "snapshot_version")
        .agg(F.count("*").alias("rows"), F.count_if(~F.col("p").eqNullSafe(F.col("p_raw"))).alias("recalibrated"))
        .collect()
    )
    present = {(row["date"], row["objective"]) for row in found}
    absent = [f"{day} ({name})" for day in days for name in objectives if (day, name) not in present]
    if absent:
        raise InputError(f"no predictions of this model version on {', '.join(absent)}; run {command}")
    versions = sorted({row["snapshot_version"] for row in found})
    if len(versions) > 1:
        raise InputError(f"the test days were scored from versions {versions} of the training table; run {command}")
    return Scored(frame, versions[0], sum(row["rows"] for row in found), sum(row["recalibrated"] for row in found))


def newest_version(place: Path | str, command: str) -> int:
    """Return the version that a Delta table is at. Raises `InputError` when there is none; `command` makes it."""
    if not is_delta_table(place):
        raise InputError(f"no table at {place}; run {command}")
    return table_at(location_of(place)).version()


def read_table(
    spark: SparkSession,
    place: Path | str,
    columns: Sequence[str],
    parts: Sequence[Partitions],
    *,
    command: str,
    version: int,
) -> tuple[DataFrame, ...]:
    """Read a Delta table at a version: a frame for each of `parts`, which say what partitions it has.

    Raises:
        InputError: it is not there, or lacks one of `columns`; `command` makes it.
        SnapshotError: it lies in an object store and cannot be read.
    """
    if not is_delta_table(place):
        raise InputError(f"no table at {place}; run {command}")
    location = location_of(place)
    if is_remote(location):
        snapshot = logged(location, version)
        _require_columns(place, snapshot.columns, columns, command)
        return tuple(remote_frame(spark, location, version, part, columns) for part in parts)
    table = spark.read.format("delta").option("versionAsOf", version).load(location)
    _require_columns(place, table.columns, columns, command)
    return tuple(table.where(reduce(and_, [F.col(name).isin(*of) for name, of in part.items()])) for part in parts)


def _require_columns(place: Path | str, there: Sequence[str], columns: Sequence[str], command: str) -> None:
    absent = [name for name in columns if name not in there]
    if absent:
        raise InputError(f"the table at {place} has no column {', '.join(absent)}; run {command}")


def joined_fields(settings: EvaluationConfig, categorical: Collection[str] = ()) -> tuple[str, ...]:
    """Return the columns of the training table, not of the predictions, that fields and other predictors are.

    Some fields are `categorical`.
    """
    names = [field.name for field in settings.fields]
    columns = [_indices(name) if name in categorical else name for name in names]
    columns += [one.column for one in settings.predictors if one.path is None]
    others = (*PREDICTION_COLUMNS, *ID_COLUMNS, USER_SEEN)
    return tuple(dict.fromkeys(column for column in columns if column not in others))


def with_values(rows: DataFrame, values: Mapping[str, tuple[str, ...]]) -> DataFrame:
    """Add the fields of which the table has indices: `values` has their names from `FIRST` on; null is missing."""
    for field, names in values.items():
        known = pa.table(
            {"_at": pa.array(range(FIRST, FIRST + len(names)), pa.int32()), "_value": pa.array(names, pa.string())}
        )
        named = F.broadcast(rows.sparkSession.createDataFrame(known))
        value = F.when(F.col(_indices(field)) == UNKNOWN, NOT_IN_VOCABULARY).otherwise(F.col("_value"))
        joined = rows.join(named, F.col(_indices(field)) == F.col("_at"), "left")
        rows = joined.withColumn(field, value).drop("_at", "_value")
    return rows


def _indices(field: str) -> str:
    return f"cat_{field}"


def asks_user_seen(settings: EvaluationConfig) -> bool:
    """Return whether `user_seen` is among the declared fields."""
    return any(field.name == USER_SEEN for field in settings.fields)


def with_user_seen(scored: DataFrame, training: DataFrame) -> DataFrame:
    """Add `user_seen`: whether `training`, the rows of the training days, have the row's user."""
    known = training.select("user_id", F.lit("seen in training").alias(USER_SEEN)).distinct()
    joined = scored.join(known, on="user_id", how="left")
    return joined.withColumn(USER_SEEN, F.coalesce(USER_SEEN, F.lit("not seen in training")))


def with_labels(
    scored: DataFrame, training: DataFrame, objectives: Sequence[str], fields: Sequence[str] = ()
) -> DataFrame:
    """Add `label` of the row's objective, null where unknown, `matched`: whether the table has the impression, and
    the table's `fields`."""
    labels = training.select("impression_id", F.lit(True).alias("in_table"), *map(label_column, objectives), *fields)
    label = F.coalesce(*[F.when(F.col("objective") == name, F.col(label_column(name))) for name in objectives])
    return scored.join(labels, on="impression_id", how="left").select(
        *[scored[name] for name in scored.columns],
        label.alias("label"),
        F.coalesce("in_table", F.lit(False)).alias("matched"),
        *[labels[name] for name in fields],
    )


def training_clicks(training: DataFrame, objectives: Sequence[str]) -> DataFrame:
    """Count, per slot and objective, the `rows` of `training` with a known label, and the `clicks` among them."""
    counted = training.groupBy("modality", "slot").agg(
        *[F.count(label_column(name)).alias(f"rows_{name}") for name in objectives],
        *[F.sum(label_column(name)).alias(f"clicks_{name}") for name in objectives],
    )
    return reduce(
        DataFrame.unionByName,
        [
            counted.select(
                "modality",
                "slot",
                F.lit(name).alias("objective"),
                F.col(f"rows_{name}").alias("rows"),
                F.coalesce(f"clicks_{name}", F.lit(0)).alias("clicks"),
            )
            for name in objectives
        ],
    )


def require_labelled(clicks: pa.Table, objectives: Sequence[str], where: str, command: str) -> None:
    """Raise `InputError` when an objective has no labelled row in `clicks` (`training_clicks`): no rate can be told."""
    known = {row["objective"] for row in clicks.to_pylist() if row["rows"]}
    absent = [name for name in objectives if name not in known]
    if absent:
        raise InputError(
            f"no impression of {where} has a known label for {', '.join(absent)}, so there is no base rate to compare "
            f"with; choose training days whose labels are known at days.as_of and run {command}"
        )


def with_rates(scored: DataFrame, clicks: DataFrame) -> DataFrame:
    """Add `base_rate` of the row's modality and `slot_rate` of its slot, both from `clicks` (`training_clicks`).

    A modality without labelled rows has the rate of all. The slot's rate takes in one impression at the base rate, so
    that a slot without clicks in training does not claim that a click is impossible; an unseen slot has the base rate.
    """
    rate = F.try_divide(F.sum("clicks"), F.sum("rows"))
    overall = clicks.groupBy("objective").agg(rate.alias("overall_rate"))
    modality = clicks.groupBy("modality", "objective").agg(rate.alias("modality_rate"))
    slot = clicks.select("modality", "slot", "objective", "rows", "clicks")
    base = F.coalesce("modality_rate", "overall_rate")
    slot_rate = (F.coalesce("clicks", F.lit(0)) + base) / (F.coalesce("rows", F.lit(0)) + 1)
    return (
        scored.join(F.broadcast(overall), on="objective", how="left")
        .join(F.broadcast(modality), on=["modality", "objective"], how="left")
        .join(F.broadcast(slot), on=["modality", "slot", "objective"], how="left")
        .select(*scored.columns, base.alias(BASE_RATE), slot_rate.alias(SLOT_RATE))
    )


def with_truth(scored: DataFrame, truth: DataFrame) -> DataFrame:
    """Add `truth`, the generator's click probability; null where it has none."""
    true_p = truth.select("impression_id", "objective", F.col("p").alias(TRUTH))
    return scored.join(true_p, on=["impression_id", "objective"], how="left")


def with_predictors(scored: DataFrame, predictors: Sequence[PredictorConfig]) -> DataFrame:
    """Add a column of the name of each of `predictors`, null where it has no probability for the row.

    Raises:
        InputError: its table is not there, or lacks a column.
    """
    for one in predictors:
        if one.path is None:
            scored = scored.withColumn(one.name, F.col(one.column))
            continue
        table = _predictors_table(scored.sparkSession, one.path, one.name)
        keys = ["impression_id", *(["objective"] if "objective" in table.columns else [])]
        absent = [name for name in (*keys, one.column) if name not in table.columns]
        if absent:
            raise InputError(f"evaluation.predictors: the table at {one.path} has no column {', '.join(absent)}")
        scored = scored.join(table.select(*keys, F.col(one.column).alias(one.name)), on=keys, how="left")
    return scored


def _predictors_table(spark: SparkSession, path: Path, name: str) -> DataFrame:
    if not path.exists():
        raise InputError(f"evaluation.predictors: there is no table at {path}, of '{name}'; correct its path")
    delta, location = is_delta_table(path), location_of(path)
    if not is_remote(location):
        return spark.read.format("delta" if delta else "parquet").load(location)
    if not delta:
        raise InputError(
            f"evaluation.predictors: at {path}, of '{name}', is no Delta table, and in an object store no other is "
            "read; write one, or copy the files to a disk"
        )
    return remote_frame(spark, location, table_at(location).version(), {})
