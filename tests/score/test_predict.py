"""A bundle scores Arrow tables and pinned snapshots in this process, each row once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

import camoe
from camoe.contracts.encoder import FIRST, MISSING, UNKNOWN, Encoder
from camoe.contracts.errors import BundleError, SnapshotError, StreamError
from camoe.contracts.features import FeatureSet
from camoe.contracts.schema import SLOTS_PROPERTY
from camoe.contracts.snapshot import pin
from camoe.score.delta import predictions_by_slot, replace_predictions
from camoe.score.encode import encode
from camoe.score.graph_inputs import ScoringError
from camoe.score.local import score_snapshot
from camoe.score.seen import Seen
from camoe.score.unknown import Unknown, unknown_in
from camoe.score.xxhash64 import spark_hash
from tests.paths import ROOT
from tests.score.pipeline import DAYS, ROWS, write_scorable
from tests.score.rows import by_impression, encoded_rows, swapped
from tests.train.pipeline import VALUES

NOW = datetime(2026, 1, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("scorable"))


@pytest.fixture(scope="module")
def predictor(pipeline):
    return camoe.load(pipeline.bundle)


def test_a_snapshot_gets_the_predictions_of_its_rows_each_once(pipeline, predictor):
    local = pa.concat_tables(score_snapshot(predictor.model, pipeline.snapshot, DAYS))
    direct = predictor.predict(encoded_rows(pipeline.snapshot))
    assert local.num_rows == pipeline.snapshot.on(DAYS).rows == len(set(local["impression_id"].to_pylist()))
    mine, theirs = by_impression(local), by_impression(direct)
    assert mine["p_raw"].std() > 0.001
    for name in ("p_raw", "p"):
        np.testing.assert_allclose(mine[name], theirs[name], atol=1e-6)
    for name in ("slot", "head", "objective", "user_id", "model_version"):
        assert mine[name].tolist() == theirs[name].tolist(), name
    assert Counter(map(str, mine["date"])) == {str(day): sum(ROWS.values()) for day in DAYS}


def test_days_of_the_table_come_as_arrow_and_any_frame_of_them_gets_the_predictions_of_the_job(pipeline, predictor):
    rows = camoe.read_days(pipeline.snapshot.table, [*DAYS[:1], *map(str, DAYS[1:])])
    assert rows.num_rows == pipeline.snapshot.on(DAYS).rows
    job = by_impression(pa.concat_tables(score_snapshot(predictor.model, pipeline.snapshot, DAYS)))
    for frame in (rows, rows.to_pandas(), rows.combine_chunks().to_batches()[0]):
        mine = by_impression(predictor.predict(frame))
        np.testing.assert_allclose(mine["p"], job["p"], atol=1e-6)
        for name in ("slot", "modality", "date", "user_id"):
            assert mine[name].tolist() == job[name].tolist(), name


def test_a_frame_of_polars_is_scored_as_its_rows(pipeline, predictor):
    rows = camoe.read_days(pipeline.snapshot.table, DAYS)
    assert predictor.predict(polars.from_arrow(rows))["p"].to_pylist() == predictor.predict(rows)["p"].to_pylist()


def test_what_is_no_table_is_named(predictor):
    with pytest.raises(ScoringError, match="dict is no table; give one of Arrow, or a frame of pandas or polars"):
        predictor.predict({"slot": ["a"]})


def test_days_that_the_table_lacks_are_named(pipeline):
    with pytest.raises(SnapshotError, match="has no rows on 2031-01-01"):
        camoe.read_days(pipeline.snapshot.table, ["2031-01-01..2031-01-02"])


def test_a_text_that_is_no_day_is_told_with_the_days_that_there_are(pipeline):
    with pytest.raises(ValueError, match="'2026-03-32' is no day: 2026-03 has the days 1 to 31"):
        camoe.read_days(pipeline.snapshot.table, ["2026-03-32"])


def test_the_package_is_found_beside_its_clone(tmp_path):
    """A folder of the package's name that is none, as the clone is for whoever stands beside it."""
    (tmp_path / "camoe").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import camoe; print(camoe.load.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "load\n", done.stderr


def test_rows_of_categories_that_the_model_does_not_know_are_counted(pipeline, predictor):
    index = np.array(encoded_rows(pipeline.snapshot)["cat_genre"].to_pylist())
    seen = Seen()
    list(score_snapshot(predictor.model, pipeline.snapshot, DAYS, seen))
    unknown = seen.unknown
    assert unknown.counts() == {"cat_genre": {"unknown": np.count_nonzero(index == UNKNOWN), "of": len(index)}}
    assert unknown.found["cat_genre"] > 0
    newer = np.array([[MISSING], [UNKNOWN], [FIRST], [FIRST + len(VALUES) - 1], [FIRST + len(VALUES)]])
    no_sequences = np.empty((len(newer), 0), np.int64)
    assert unknown_in(newer, no_sequences, predictor.model.spec).counts() == {"cat_genre": {"unknown": 2, "of": 5}}


def test_unknown_shares_are_said_the_largest_first():
    found, seen = Counter(cat_a=0, cat_b=1, seq_c=30), Counter(cat_a=40, cat_b=40, seq_c=60)
    assert str(Unknown(found, seen)) == "seq_c 50.00%, cat_b 2.50%"
    assert str(Unknown(Counter(cat_a=0), Counter(cat_a=0))) == "none"


def test_raw_values_are_encoded_by_the_bundle(pipeline, predictor):
    rows = encoded_rows(pipeline.snapshot)
    words = {MISSING: None, UNKNOWN: "never seen", **{FIRST + place: value for place, value in enumerate(VALUES)}}
    genre = pa.array([words[index] for index in rows["cat_genre"].to_pylist()], pa.string())
    raw = pa.table({"impression_id": rows["impression_id"], "slot": rows["slot"], "genre": genre})
    raw = raw.append_column("tenure", rows["num_tenure"].cast(pa.float64()))
    again = predictor.encode(raw)
    assert again["cat_genre"].to_pylist() == rows["cat_genre"].to_pylist()
    np.testing.assert_array_equal(predictor.predict(again)["p"], predictor.predict(rows)["p"])


def test_scoring_imports_neither_spark_nor_torch(pipeline):
    said = (
        "import camoe, sys; predictor = camoe.load(sys.argv[1]);"
        "heavy = {'pyspark', 'torch', 'horovod', 'petastorm'} & set(sys.modules); sys.exit(', '.join(heavy) or 0)"
    )
    command = [sys.executable, "-c", said, pipeline.bundle]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop_columns(["cat_genre"]), "the table has no column cat_genre; it has impression_id"),
        (lambda rows: rows.drop_columns(["slot"]), "the table has no column slot"),
        (lambda rows: swapped(rows, "cat_genre", ["jazz"] * rows.num_rows), "cat_genre is string, where an index"),
        (lambda rows: swapped(rows, "cat_genre", [None, *[1] * (rows.num_rows - 1)]), "cat_genre has 1 nulls"),
        (lambda rows: swapped(rows, "cat_genre", [-1] * rows.num_rows), "cat_genre has the index -1"),
        (lambda rows: swapped(rows, "num_tenure", ["1"] * rows.num_rows), "num_tenure is string, where a number"),
        (lambda rows: swapped(rows, "slot", ["s9"] * rows.num_rows), "not know: s9; it knows s0, s1, s2"),
        (lambda rows: swapped(rows, "slot", pa.nulls(rows.num_rows, pa.string())), "not know: None"),
        (lambda rows: rows.replace_schema_metadata({"camoe.featureSchemaHash": "x"}), "for feature schema x"),
        (lambda rows: rows.replace_schema_metadata({"camoe.encoderHash": "y"}), "with the vocabularies y"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(pipeline, predictor, change, message):
    with pytest.raises(ScoringError, match=message):
        predictor.predict(change(encoded_rows(pipeline.snapshot)))


def test_hashed_and_odd_values_are_encoded_as_the_features_are_built():
    features = FeatureSet(
        categorical=[
            {"name": "user", "sql": "user", "hashing": {"buckets": 97, "seeds": [1, -5]}},
            {"name": "hour", "sql": "hour"},
            {"name": "live", "sql": "live"},
        ],
        numeric=[{"name": "age", "sql": "age"}],
    )
    users = ["", "u", "räksmörgås", None, "u" * 40, "u"]
    rows = pa.table(
        {
            "user": pa.array(users).dictionary_encode(),
            "hour": pa.array([1, 2, 3, None, 1, 7], pa.int32()),
            "live": [True, False, None, True, True, False],
            "age": pa.array([1, None, float("inf"), float("nan"), 1e300, -2.5], pa.float64()),
        }
    )
    found = encode(rows, features, Encoder(1, {"hour": ("2", "1"), "live": ("true",)}))
    for seed in (1, -5):
        expected = [MISSING if user is None else FIRST + spark_hash(seed, user) % 97 for user in users]
        assert found[f"cat_user_{seed}"].to_pylist() == expected
    assert found["cat_hour"].to_pylist() == [FIRST + 1, FIRST, UNKNOWN, MISSING, FIRST + 1, UNKNOWN]
    assert found["cat_live"].to_pylist() == [FIRST, UNKNOWN, MISSING, FIRST, FIRST, UNKNOWN]
    assert found["num_age"].to_pylist() == [1, None, None, None, None, -2.5]
    assert {found[name].type for name in found.column_names if name.startswith("cat_")} == {pa.int32()}
    with pytest.raises(ScoringError, match=r"hour is double, of which texts differ"):
        encode(swapped(rows, "hour", [1.0] * 6), features, Encoder(1, {"hour": (), "live": ()}))


def test_a_row_group_that_changed_after_the_pin_stops_local_scoring(pipeline, predictor, tmp_path):
    table = tmp_path / "training"
    shutil.copytree(pipeline.config.layout.training, table)
    snapshot = pin(table)
    file = snapshot.on(DAYS[:1]).files[0]
    pq.write_table(pq.ParquetFile(file.path).read().slice(1), file.path, row_group_size=50)
    with pytest.raises(StreamError, match=r"changed after version \d+ of the table was pinned"):
        list(score_snapshot(predictor.model, snapshot, DAYS[:1]))


def test_a_snapshot_that_does_not_fit_is_refused_before_anything_is_read(pipeline, predictor):
    other = {**pipeline.snapshot.properties, SLOTS_PROPERTY: "s2:video,s0:audio"}
    with pytest.raises(BundleError, match="was built with the slots s2:video,s0:audio"):
        score_snapshot(predictor.model, replace(pipeline.snapshot, properties=other), DAYS)
    with pytest.raises(SnapshotError, match="has no rows on 2026-01-06"):
        score_snapshot(predictor.model, pipeline.snapshot, [NOW.date()])


def test_writing_again_replaces_the_days_of_the_model_version_only(pipeline, predictor, tmp_path):
    path = tmp_path / "predictions"

    def write(days, version):
        scored = (
            table.set_column(
                table.column_names.index("model_version"), "model_version", pa.array([version] * len(table))
            )
            for table in score_snapshot(predictor.model, pipeline.snapshot, days)
        )
        replace_predictions(scored, pipeline.snapshot, path, days, version, scored_at=NOW)

    for days, version in ((DAYS, "one"), (DAYS[:1], "two"), (DAYS[1:], "one")):
        write(days, version)
    assert predictions_by_slot(path, DAYS, "one") == {slot: 2 * rows for slot, rows in ROWS.items()}
    assert predictions_by_slot(path, DAYS, "two") == ROWS
    assert DeltaTable(str(path)).metadata().partition_columns == ["modality", "slot", "date", "model_version"]
