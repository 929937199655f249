"""The test days' scored impressions beside their labels and the yardsticks that a model must be held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.layout import label_column

MODEL, MODEL_RAW, BASE_RATE, SLOT_RATE, TRUTH = "model", "model_raw", "base_rate", "slot_rate", "truth"


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
    """The rows of `table`, predictions of one model version, on `days`.

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


def read_table(spark: SparkSession, path: Path, command: str, version: int | None = None) -> DataFrame:
    """A Delta table, at a version. Raises `InputError` when there is none; `command` makes it."""
    if not (path / "_delta_log").is_dir():
        raise InputError(f"no table at {path}; run {command}")
    reader = spark.read.format("delta")
    return (reader if version is None else reader.option("versionAsOf", version)).load(str(path))


def with_labels(scored: DataFrame, training: DataFrame, objectives: Sequence[str]) -> DataFrame:
    """Adds `label` of the row's objective, null where unknown, and `matched`: whether the table has the impression."""
    labels = training.select(
        "impression_id", F.lit(True).alias("in_table"), *[label_column(objective) for objective in objectives]
    )
    label = F.coalesce(*[F.when(F.col("objective") == name, F.col(label_column(name))) for name in objectives])
    return scored.join(labels, on="impression_id", how="left").select(
        *[scored[name] for name in scored.columns],
        label.alias("label"),
        F.coalesce("in_table", F.lit(False)).alias("matched"),
    )


def training_rates(training: DataFrame, objectives: Sequence[str]) -> DataFrame:
    """Per slot and objective, from the rows of `training`: `base_rate` of its modality and `slot_rate` of the slot.

    Both count rows with a known label. The slot's rate takes in one impression at its modality's rate, so that a slot
    without clicks in training does not claim that a click is impossible.
    """
    counted = training.groupBy("modality", "slot").agg(
        *[F.count(label_column(name)).alias(f"rows_{name}") for name in objectives],
        *[F.sum(label_column(name)).alias(f"clicks_{name}") for name in objectives],
    )
    slots = reduce(
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
    modalities = slots.groupBy("modality", "objective").agg(
        F.try_divide(F.sum("clicks"), F.sum("rows")).alias(BASE_RATE)
    )
    slot_rate = (F.col("clicks") + F.col(BASE_RATE)) / (F.col("rows") + 1)
    return slots.join(modalities, on=["modality", "objective"], how="left").select(
        "modality", "slot", "objective", BASE_RATE, slot_rate.alias(SLOT_RATE)
    )


def with_rates(scored: DataFrame, rates: DataFrame) -> DataFrame:
    """Adds `base_rate` and `slot_rate`; a slot that training never saw gets its modality's rate for both."""
    modality = rates.groupBy("modality", "objective").agg(F.first(BASE_RATE).alias(BASE_RATE))
    slot = rates.select("slot", "objective", SLOT_RATE)
    return (
        scored.join(F.broadcast(modality), on=["modality", "objective"], how="left")
        .join(F.broadcast(slot), on=["slot", "objective"], how="left")
        .withColumns({SLOT_RATE: F.coalesce(SLOT_RATE, BASE_RATE)})
    )


def with_truth(scored: DataFrame, truth: DataFrame) -> DataFrame:
    """Adds `truth`, the generator's click probability; null where it has none."""
    true_p = truth.select("impression_id", "objective", F.col("p").alias(TRUTH))
    return scored.join(true_p, on=["impression_id", "objective"], how="left")
