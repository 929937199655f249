"""Batch scoring in Spark: tasks score rows, count what they see and write predictions, which one commit makes count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_schema

from camoe.contracts.encoder import Encoder
from camoe.contracts.features import FeatureSet
from camoe.contracts.places.commits import CommittedTable
from camoe.contracts.places.counts import require_equal
from camoe.contracts.places.entries import Part
from camoe.score.delta import predictions_by_slot
from camoe.score.predictions import (
    columns_of,
    partitions_of,
    predictions_schema,
    predictions_table,
    stamped,
    with_predictions,
)
from camoe.score.scorer import Scorer, ScoringModel, expected_of, own_encoder, own_features
from camoe.score.seen import Seen, Work, predict_and_count
from camoe.stream.frame import shared_out, worked_frame

# About 20 MB.
ROWS_PER_FILE = 500_000
LEAST_ROWS = 50_000
PLACE = ("modality", "slot", "date")
ROW_IDS = ("impression_id", "user_id", "campaign_id")
CANDIDATE_IDS = ("request_id", "user_id", "campaign_id")
# What a task tells: a file that it wrote, or, at its end, what it has seen.
TOLD = pa.schema([("part", pa.string()), ("seen", pa.string())])
TOLD_COLUMNS = "part string, seen string"


@dataclass(frozen=True)
class Scoring:
    """What a task does with rows: it predicts, counts and writes files of `table`, and tells of them."""

    model: Broadcast[ScoringModel]
    table: CommittedTable
    version: int
    scored_at: datetime

    def __call__(self, tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        """Score `tables`; yield rows of `TOLD`."""
        seen = Seen()
        for part in self.table.write(self._predictions(tables, seen)):
            yield _told(part.text(), None)
        yield _told(None, seen.text())

    def _predictions(self, tables: Iterable[pa.Table], seen: Seen) -> Iterator[pa.Table]:
        scorer = Scorer(self.model.value)
        for rows in tables:
            predictions = predict_and_count(scorer, *scorer.inputs_of(rows), seen)
            yield stamped(predictions, self.table.schema, self.version, self.scored_at)


def score_impressions(spark: SparkSession, work: Work) -> tuple[dict[str, int], Seen]:
    """Write the predictions of impressions; return them by slot, and what was seen of them.

    Each task reads files and scores what it has read, so features do not go through Java. It has neighbouring files, so
    that it writes few: `LEAST_ROWS` rows or more, and about `ROWS_PER_FILE` at most.

    Raises:
        RunError: another job wrote predictions of this model and these days at the same moment.
        PlaceError: the object store of an address does not take them.
        DriftError: as the check does, and nothing is written.
    """
    snapshot = work.snapshot.on(work.days)
    reads = columns_of(snapshot, (*ROW_IDS, *PLACE, *work.model.spec.features.columns))
    share = -(-snapshot.rows // spark.sparkContext.defaultParallelism)
    tasks = shared_out(snapshot.files, min(ROWS_PER_FILE, max(LEAST_ROWS, share)))
    scoring = _scoring(spark, work, predictions_schema(snapshot))
    return _replaced(worked_frame(spark, tasks, reads, scoring, TOLD_COLUMNS), scoring.table, work)


def score_candidates(
    encoded: Callable[[Encoder, FeatureSet], DataFrame], work: Work
) -> tuple[int, dict[str, int], Seen]:
    """Write the predictions of candidates; return their number, predictions by slot, and what was seen of them.

    `encoded` gives them by the model's own vocabularies and features.

    Raises:
        CountError: not each was scored.
        RunError, PlaceError, DriftError: as `score_impressions` does.
    """
    given = encoded(own_encoder(work.model), own_features(work.model))
    rows = given.select(*CANDIDATE_IDS, *PLACE, *work.model.spec.features.columns).persist()
    offered = {(row["date"], row["slot"]): row["count"] for row in rows.groupBy("date", "slot").count().collect()}
    ids = to_arrow_schema(rows.select(*CANDIDATE_IDS).schema)
    scoring = _scoring(rows.sparkSession, work, with_predictions(ids))

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return scoring(pa.Table.from_batches([batch]) for batch in batches)

    told = rows.repartition(*PLACE, file_of(offered)).mapInArrow(score, TOLD_COLUMNS)
    by_slot, seen = _replaced(told, scoring.table, work)
    expected = sum(expected_of(work.model, {slot: number}) for (_, slot), number in offered.items())
    require_equal("candidates scored", expected, sum(by_slot.values()))
    rows.unpersist()
    return sum(offered.values()), by_slot, seen


def file_of(rows: Mapping[tuple[date, str], int]) -> Column:
    """Return the number of a candidate's file among those of its day and slot, of which `rows` has the number."""
    files = {cell: -(-number // ROWS_PER_FILE) for cell, number in rows.items() if number > ROWS_PER_FILE}
    if not files:
        return F.lit(0)
    cells = [F.lit(value) for (day, slot), number in files.items() for value in (f"{day.isoformat()} {slot}", number)]
    own = F.create_map(*cells)[F.concat_ws(" ", F.col("date").cast("string"), "slot")]
    return F.pmod(F.xxhash64(*CANDIDATE_IDS), F.coalesce(own, F.lit(1)))


def _scoring(spark: SparkSession, work: Work, schema: pa.Schema) -> Scoring:
    model, table = spark.sparkContext.broadcast(work.model), predictions_table(work.path, schema)
    return Scoring(model, table, work.snapshot.version, datetime.now(UTC))


def _replaced(told: DataFrame, table: CommittedTable, work: Work) -> tuple[dict[str, int], Seen]:
    """Commit the files that tasks tell of, once the check has looked at what they have seen."""
    seen, version = Seen(), work.model.manifest.model_version

    def write() -> Iterator[Part]:
        for row in told.collect():
            if row["seen"] is not None:
                seen.add_text(row["seen"])
            else:
                yield Part.of(row["part"])
        work.look(seen)

    table.replace(partitions_of(work.days, version), write)
    return predictions_by_slot(work.path, work.days, version), seen


def _told(part: str | None, seen: str | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"part": part, "seen": seen}], schema=TOLD)
