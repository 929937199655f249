"""The scoring job and this process give the same predictions, into the same table."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import functions as F

import camoe
from camoe.contracts.snapshot import is_delta_table
from camoe.score import spark as spark_scoring
from camoe.score.delta import predictions_by_slot, replace_predictions
from camoe.score.drift import DriftError
from camoe.score.local import score_locally, score_snapshot
from camoe.score.seen import Seen, Work
from camoe.score.spark import score_candidates, score_impressions
from tests.score.pipeline import BY_GENRE, DAYS, ROWS, write_scorable
from tests.sparks import set_to
from tests.train.pipeline import CONFIG, logged_features

pytestmark = pytest.mark.spark


# Clicks by the value of a column, and a second objective in one slot only.
OBJECTIVES = ("click", "completion")
HEADS = {
    "column": "genre",
    "heads": [*BY_GENRE["heads"], {"name": "finish", "objective": "completion", "where": {"slot": ["s1"]}}],
}
SECTIONS = {
    "sequence": {"features": logged_features(pooling="decayed", decay_s=86400.0)},
    "objectives": {
        "heads": HEADS,
        "sources": {
            "impressions": CONFIG["sources"]["impressions"] | {"labels": {name: name for name in OBJECTIVES}},
            "objectives": {name: {} for name in OBJECTIVES},
        },
    },
}


@pytest.mark.parametrize("sections", ["sequence", pytest.param("objectives", marks=pytest.mark.slow)])
def test_spark_and_local_scoring_agree_and_replace_each_others_rows(spark, tmp_path, sections):
    pipeline = write_scorable(tmp_path, **SECTIONS[sections])
    model, snapshot, path = camoe.load(pipeline.bundle).model, pipeline.snapshot, tmp_path / "predictions"
    version = model.manifest.model_version
    counted = score_impressions(spark, Work(model, snapshot, DAYS, path))
    row = ["objective", "impression_id"]
    by_spark = predictions(spark, path).set_index(row, drop=False).sort_index()
    seen = Seen()
    scored = pa.concat_tables(score_snapshot(model, snapshot, DAYS, seen))
    local = scored.to_pandas().set_index(row, drop=False).sort_index()
    assert by_spark.index.tolist() == local.index.tolist()
    for name in ("p_raw", "p"):
        np.testing.assert_allclose(by_spark[name], local[name], atol=1e-6)
    for name in ("user_id", "campaign_id", "modality", "slot", "date", "objective", "head", "model_version"):
        assert by_spark[name].tolist() == local[name].tolist(), name
    assert all(seen.unknown.found.values())
    assert counted == (predictions_by_slot(path, DAYS, version), seen)
    # The same rows as candidates, in a table of their own.
    table = spark.read.format("delta").load(snapshot.table).where(F.col("date").isin(*DAYS))
    offered, looked = table.withColumnRenamed("impression_id", "request_id"), []
    work = Work(model, snapshot, DAYS, tmp_path / "candidates", looked.append)
    count, by_slot, told = score_candidates(lambda *_: offered, work)
    assert (count, told, looked) == (sum(ROWS.values()) * len(DAYS), seen, [seen])
    candidates = predictions(spark, tmp_path / "candidates")
    assert sum(by_slot.values()) == len(candidates) == len(by_spark)
    by_request = candidates.set_index(["objective", "request_id"]).sort_index()
    np.testing.assert_allclose(by_request["p"], by_spark["p"], atol=1e-12)
    tables, now = score_snapshot(model, snapshot, DAYS), datetime.now(UTC)
    replace_predictions(tables, snapshot, path, DAYS, version, scored_at=now)
    by_row = {slot: 2 if sections == "objectives" and slot == "s1" else 1 for slot in ROWS}
    twice = {slot: 2 * by_row[slot] * rows for slot, rows in ROWS.items()}
    assert set(local["head"]) == {head.name for head in pipeline.config.heads.heads}
    assert predictions_by_slot(path, DAYS, version) == twice
    assert len(predictions(spark, path)) == sum(twice.values())


def predictions(spark, path):
    """The rows of the table, as Spark reads them."""
    return spark.read.format("delta").load(str(path)).toPandas()


@pytest.mark.slow
def test_candidates_of_a_slot_of_many_are_written_by_several_tasks(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(spark_scoring, "ROWS_PER_FILE", 60)
    pipeline = write_scorable(tmp_path)
    model, snapshot, path = camoe.load(pipeline.bundle).model, pipeline.snapshot, tmp_path / "predictions"
    rows = snapshot.on(DAYS).rows_by_cell()
    table = spark.read.format("delta").load(snapshot.table).where(F.col("date").isin(*DAYS))
    # As many tasks as it takes that no two of the few files are written by one.
    with set_to(spark, {"spark.sql.shuffle.partitions": "200"}):
        score_candidates(
            lambda *_: table.withColumnRenamed("impression_id", "request_id"), Work(model, snapshot, DAYS, path)
        )
    files = Counter((file.parent.parent.name, file.parent.parent.parent.name) for file in path.rglob("*.parquet"))
    assert {(f"date={day}", f"slot={slot}"): -(-number // 60) for (day, slot), number in rows.items()} == files


def test_a_check_that_fails_leaves_no_file_and_no_prediction(spark, tmp_path):
    pipeline = write_scorable(tmp_path)
    model, path = camoe.load(pipeline.bundle).model, tmp_path / "predictions"

    def refuse(seen):
        raise DriftError(f"{sum(seen.by_slot().values())} drifted")

    for score in (lambda work: score_impressions(spark, work), score_locally):
        with pytest.raises(DriftError, match=f"{sum(ROWS.values()) * len(DAYS)} drifted"):
            score(Work(model, pipeline.snapshot, DAYS, path, refuse))
        assert not [*path.rglob("*.parquet")]
        assert not is_delta_table(path)
