"""Batch scoring in Spark: the pinned rows of the chosen days to the predictions table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from camoe.contracts.layout import PREDICTION_PARTITIONS
from camoe.contracts.snapshot import Snapshot
from camoe.score.scorer import Scorer, ScoringModel

CARRIED = ("impression_id", "user_id", "campaign_id", "modality", "slot", "date")


def read_rows(spark: SparkSession, snapshot: Snapshot, days: Collection[date], model: ScoringModel) -> DataFrame:
    """The features of the impressions of `days` at the pinned version."""
    features = model.spec.features
    table = spark.read.format("delta").option("versionAsOf", snapshot.version).load(snapshot.table)
    chosen = table.where(F.col("date").isin(*days))
    return chosen.select(*CARRIED, *features.categorical_columns, *features.numeric_columns)


def score(rows: DataFrame, model: ScoringModel, snapshot: Snapshot) -> DataFrame:
    """One row an impression and objective that is served in its slot, in the columns of the predictions table.

    `p` is the calibrated probability; without a calibration in the bundle it is `p_raw`.
    """
    shared = rows.sparkSession.sparkContext.broadcast(model)
    carried = [rows.schema[name] for name in CARRIED]
    made = [T.StructField("objective", T.StringType()), T.StructField("head", T.StringType())]
    output = T.StructType([*carried, *made, T.StructField("p_raw", T.DoubleType())])

    def score_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = Scorer(shared.value)
        for batch in batches:
            for objective in shared.value.spec.heads.objectives:
                yield _scored(scorer, batch, objective)

    return rows.mapInArrow(score_batches, output).select(
        *CARRIED,
        "objective",
        "head",
        "p_raw",
        F.col("p_raw").alias("p"),
        F.lit(model.manifest.model_version).alias("model_version"),
        F.lit(snapshot.version).cast("bigint").alias("snapshot_version"),
        F.current_timestamp().alias("scored_at"),
    )


def write_predictions(predictions: DataFrame, path: Path, days: Collection[date], model_version: str) -> None:
    """Replace the predictions of `model_version` on `days`, in one commit; other rows stay as they are."""
    listed = ", ".join(f"date'{day.isoformat()}'" for day in sorted(days))
    (
        predictions.repartition(*PREDICTION_PARTITIONS)
        .write.format("delta")
        .mode("overwrite")
        .partitionBy(*PREDICTION_PARTITIONS)
        .option("replaceWhere", f"date in ({listed}) and model_version = '{model_version}'")
        .save(str(path.resolve()))
    )


def count_predictions(spark: SparkSession, path: Path, days: Collection[date], model_version: str) -> dict[str, int]:
    """Rows of `model_version` on `days` in the predictions table, by slot."""
    table = spark.read.format("delta").load(str(path.resolve()))
    chosen = table.where(F.col("date").isin(*days) & (F.col("model_version") == model_version))
    return {row["slot"]: row["count"] for row in chosen.groupBy("slot").count().collect()}


def _scored(scorer: Scorer, batch: pa.RecordBatch, objective: str) -> pa.RecordBatch:
    heads = {slot: scorer.head_of(slot, objective) for slot in set(batch["slot"].to_pylist())}
    served = [slot for slot, head in heads.items() if head is not None]
    batch = batch.filter(pc.is_in(batch["slot"], pa.array(served, pa.string())))
    slots = batch["slot"].to_pylist()
    columns = {name: batch[name] for name in CARRIED}
    columns["objective"] = pa.array([objective] * batch.num_rows, pa.string())
    columns["head"] = pa.array([heads[slot] for slot in slots], pa.string())
    columns["p_raw"] = pa.array(scorer.predict(batch, objective))
    return pa.RecordBatch.from_pydict(columns)
