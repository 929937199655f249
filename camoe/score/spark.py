"""Batch scoring in Spark: the pinned rows of the chosen days to the predictions table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
from delta import exceptions
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.storagelevel import StorageLevel

from camoe.contracts.encoder import UNKNOWN
from camoe.contracts.places.alone import one_line
from camoe.contracts.places.counts import require_equal
from camoe.contracts.schema import PREDICTION_PARTITIONS
from camoe.contracts.snapshot import Snapshot, logged
from camoe.contracts.storage import is_remote, location_of
from camoe.metrics.spark_bins import clipped, narrow_bin, wide_bin
from camoe.score.predictions import partitions_of, remote_predictions
from camoe.score.scorer import Scorer, ScoringModel, expected_of
from camoe.score.seen import BY, Seen, Work
from camoe.score.unknown import Unknown, Vocabulary, category_vocabularies, element_vocabularies
from camoe.stream.frame import remote_frame, shared_out, worked_frame, write_frame

# Delta's errors when another commit came first; PySpark knows them once they are imported.
CONFLICTS = tuple(
    kind for kind in vars(exceptions).values() if isinstance(kind, type) and kind.__module__.startswith("delta.")
)
# About 25 MB.
ROWS_PER_FILE = 500_000
LEAST_ROWS = 50_000
ROW_KEYS = ("impression_id", "user_id", "campaign_id", "modality", "slot", "date")
CANDIDATE_KEYS = ("request_id", "user_id", "campaign_id", "modality", "slot", "date")


def read_rows(spark: SparkSession, snapshot: Snapshot, days: Collection[date], model: ScoringModel) -> DataFrame:
    """Read the features of the impressions of `days` at the pinned version."""
    columns = (*ROW_KEYS, *model.spec.features.columns)
    if is_remote(snapshot.table):
        return remote_frame(spark, snapshot, columns, {"date": days})
    table = spark.read.format("delta").option("versionAsOf", snapshot.version).load(snapshot.table)
    return table.where(F.col("date").isin(*days)).select(*columns)


def count_unknown(rows: DataFrame, model: ScoringModel) -> Unknown:
    """Count what of `rows` the model does not know; reads the columns that have a vocabulary alone."""
    places, elements = category_vocabularies(model.spec), element_vocabularies(model.spec)
    found = {name: F.count_if(_unknown(F.col(name), known)) for name, known in places.items()}
    seen = {name: F.count(F.lit(1)) for name in places}
    for name, known in elements.items():
        found[name] = F.sum(_unknown_elements(name, known))
        seen[name] = F.sum(F.size(name))
    if not found:
        return Unknown()
    sums = [F.struct(*[F.coalesce(of, F.lit(0)).alias(name) for name, of in each.items()]) for each in (found, seen)]
    counted = rows.agg(sums[0].alias("found"), sums[1].alias("seen")).collect()[0]
    return Unknown(Counter(counted["found"].asDict()), Counter(counted["seen"].asDict()))


def _unknown_elements(name: str, known: Vocabulary) -> Column:
    return F.size(F.filter(name, lambda index: _unknown(index, known)))


def _unknown(index: Column, known: Vocabulary) -> Column:
    outside = (index == UNKNOWN) | (index >= known.size)
    return outside | index.isin(list(known.hidden)) if known.hidden else outside


def score(rows: DataFrame, model: ScoringModel, version: int, keys: Sequence[str]) -> DataFrame:
    """Yield one row a row and objective that is served in its slot, in the columns of the predictions table.

    The `rows` were encoded as those of the training table at `version`; `keys` name one.
    """
    shared = rows.sparkSession.sparkContext.broadcast(model)

    def score_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = Scorer(shared.value)
        for batch in batches:
            yield from scorer.predict(pa.Table.from_batches([batch])).combine_chunks().to_batches()

    return _complete(rows.mapInArrow(score_batches, _made(rows.schema, keys)), version)


def score_table(rows: DataFrame, model: ScoringModel, snapshot: Snapshot) -> DataFrame:
    """Yield the predictions of all impressions of `snapshot`, whose columns `rows` has, as `score` does.

    Each task reads files and scores what it has read, so features do not go through Java. It has neighbouring files, so
    that it writes few: `LEAST_ROWS` rows or more, and about `ROWS_PER_FILE` at most.
    """
    context = rows.sparkSession.sparkContext
    shared, columns = context.broadcast(model), (*ROW_KEYS, *model.spec.features.columns)
    reads = T.StructType([rows.schema[name] for name in columns])
    rows_per_task = min(ROWS_PER_FILE, max(LEAST_ROWS, -(-snapshot.rows // context.defaultParallelism)))

    def scorer() -> Callable[[pa.Table], pa.Table]:
        return Scorer(shared.value).predict

    tasks, gives = shared_out(snapshot.files, rows_per_task), _made(rows.schema, ROW_KEYS)
    return _complete(worked_frame(rows.sparkSession, tasks, reads, scorer, gives), snapshot.version)


def _made(schema: T.StructType, keys: Sequence[str]) -> T.StructType:
    """Return the columns that a `Scorer` gives for rows with `keys`."""
    text, number = T.StringType(), T.DoubleType()
    made = {"objective": text, "head": text, "p_raw": number, "p": number, "model_version": text}
    return T.StructType([*(schema[name] for name in keys), *(T.StructField(name, kind) for name, kind in made.items())])


def _complete(predictions: DataFrame, version: int) -> DataFrame:
    version_column = F.lit(version).cast("bigint").alias("snapshot_version")
    return predictions.select("*", version_column, F.current_timestamp().alias("scored_at"))


def score_impressions(spark: SparkSession, work: Work) -> tuple[dict[str, int], Seen]:
    """Write the predictions of impressions; return them by slot, and what was seen of them.

    Raises:
        RunError: as `write_predictions` does.
        DriftError: as the check does, before anything is written.
    """
    rows = read_rows(spark, work.snapshot, work.days, work.model)
    return _written(rows, score_table(rows, work.model, work.snapshot.on(work.days)), work)


def score_candidates(encoded: DataFrame, work: Work) -> tuple[int, dict[str, int], Seen]:
    """Write the predictions of candidates; return their number, predictions by slot, and what was seen of them.

    Raises:
        CountError: not each was scored.
        RunError: as `write_predictions` does.
        DriftError: as the check does, before anything is written.
    """
    model = work.model
    rows = encoded.select(*CANDIDATE_KEYS, *model.spec.features.columns).persist()
    offered = {(row["date"], row["slot"]): row["count"] for row in rows.groupBy("date", "slot").count().collect()}
    predictions = score(rows, model, work.snapshot.version, CANDIDATE_KEYS)
    by_slot, seen = _written(rows, spread(predictions, offered), work)
    expected = sum(expected_of(model, {slot: number}) for (_, slot), number in offered.items())
    require_equal("candidates scored", expected, sum(by_slot.values()))
    rows.unpersist()
    return sum(offered.values()), by_slot, seen


def _written(rows: DataFrame, predictions: DataFrame, work: Work) -> tuple[dict[str, int], Seen]:
    spark, version = rows.sparkSession, work.model.manifest.model_version
    unknown = count_unknown(rows, work.model)
    if work.check is None:
        write_predictions(predictions, work.path, work.days, version)
        seen = Seen(count_scores(_of_model(spark, work.path, work.days, version)), unknown)
        return seen.by_slot(), seen
    held = predictions.persist(StorageLevel.DISK_ONLY)
    try:
        seen = Seen(count_scores(held), unknown)
        work.check(seen)
        write_predictions(held, work.path, work.days, version)
    finally:
        held.unpersist()
    return count_predictions(spark, work.path, work.days, version), seen


def count_scores(predictions: DataFrame) -> Counter[tuple[str, str, str, int]]:
    """Count predictions as `Seen.add` does."""
    bins = wide_bin(narrow_bin(clipped(F.col("p")))).cast("int").alias("bin")
    counted = predictions.select(*BY, bins).groupBy(*BY, "bin").count().collect()
    return Counter({(row["objective"], row["slot"], row["head"], row["bin"]): row["count"] for row in counted})


def write_predictions(predictions: DataFrame, path: Path | str, days: Collection[date], model_version: str) -> None:
    """Replace the predictions of `model_version` on `days`, in one commit; other rows stay as they are.

    Raises:
        RunError: another job committed first, and the two cannot both hold.
        PlaceError: the object store of an address does not take the commit.
    """
    location = location_of(path)
    if is_remote(location):
        table = remote_predictions(location, to_arrow_schema(predictions.schema))
        table.replace(partitions_of(days, model_version), lambda: write_frame(predictions, table))
        return
    listed = ", ".join(f"date'{day.isoformat()}'" for day in sorted(days))
    replaced = f"date in ({listed}) and model_version = '{model_version}'"
    writer = predictions.write.format("delta").mode("overwrite")
    with one_line(CONFLICTS, path):
        writer.partitionBy(*PREDICTION_PARTITIONS).option("replaceWhere", replaced).save(location)


def spread(candidates: DataFrame, rows: Mapping[tuple[date, str], int]) -> DataFrame:
    """Bring the predictions of a day and slot together, into files of `ROWS_PER_FILE`; `rows` has their number."""
    return candidates.repartition(*PREDICTION_PARTITIONS, file_of(rows))


def file_of(rows: Mapping[tuple[date, str], int]) -> Column:
    """Return the number of a candidate's file among those of its day and slot, of which `rows` has the number."""
    files = {cell: -(-number // ROWS_PER_FILE) for cell, number in rows.items() if number > ROWS_PER_FILE}
    if not files:
        return F.lit(0)
    cells = [F.lit(value) for (day, slot), number in files.items() for value in (f"{day.isoformat()} {slot}", number)]
    own = F.create_map(*cells)[F.concat_ws(" ", F.col("date").cast("string"), "slot")]
    return F.pmod(F.xxhash64(*CANDIDATE_KEYS[:3]), F.coalesce(own, F.lit(1)))


def count_predictions(
    spark: SparkSession, path: Path | str, days: Collection[date], model_version: str
) -> dict[str, int]:
    """Count the rows of `model_version` on `days` in the predictions table, by slot."""
    counted = _of_model(spark, path, days, model_version).groupBy("slot").count().collect()
    return {row["slot"]: row["count"] for row in counted}


def _of_model(spark: SparkSession, path: Path | str, days: Collection[date], model_version: str) -> DataFrame:
    location = location_of(path)
    if is_remote(location):
        return remote_frame(spark, logged(location), (*BY, "p"), partitions_of(days, model_version))
    table = spark.read.format("delta").load(location)
    return table.where(F.col("date").isin(*days) & (F.col("model_version") == model_version))
