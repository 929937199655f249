"""One predictions table, whoever writes to it first; and what may not be written to it."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from camoe.contracts.errors import SnapshotError
from camoe.contracts.snapshot import is_delta_table, logged
from camoe.score.delta import predictions_by_slot, replace_predictions
from camoe.score.predictions import predictions_schema, require_writable
from camoe.score.spark import ROWS_PER_FILE, file_of

DAY, MODEL = date(2026, 1, 3), "0123456789ab"
NOW = datetime(2026, 1, 6, tzinfo=UTC)


def training(folder, **types):
    """An empty training table whose ids have these types; text where none is given."""
    ids = {name: types.get(name, pa.string()) for name in ("impression_id", "user_id", "campaign_id")}
    DeltaTable.create(str(folder), pa.schema([*ids.items(), ("num_tenure", pa.float32())]))
    return logged(folder)


def scored(snapshot, model=MODEL):
    """A prediction as a scorer makes it."""
    ids = {"impression_id": 1, "user_id": 2, "campaign_id": 3}
    types = predictions_schema(snapshot)
    columns = {name: pa.array([str(value)]).cast(types.field(name).type) for name, value in ids.items()}
    texts = {"modality": "audio", "slot": "s0", "objective": "click", "head": "audio", "model_version": model}
    named = {name: pa.array([value]) for name, value in texts.items()}
    return pa.table({**columns, **named, "date": pa.array([DAY]), "p_raw": pa.array([0.1]), "p": pa.array([0.2])})


def write_locally(snapshot, path, model=MODEL):
    replace_predictions([scored(snapshot, model)], snapshot, path, [DAY], model, scored_at=NOW)


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()], ids=["whole numbers", "text"])
def test_predictions_have_the_types_of_the_ids_each_time(tmp_path, kind):
    snapshot = training(tmp_path / "training", impression_id=kind, user_id=kind)
    path = tmp_path / "predictions"
    for _ in range(2):
        require_writable(path, snapshot)
        write_locally(snapshot, path)
        assert pa.schema(DeltaTable(str(path)).schema().to_arrow()).equals(predictions_schema(snapshot))
        assert predictions_by_slot(path, [DAY], MODEL) == {"s0": 1}


def test_a_day_is_scored_again_without_a_look_at_the_files_of_fifty_other_models(tmp_path):
    snapshot, path = training(tmp_path / "training"), tmp_path / "predictions"
    others = [f"{number:012x}" for number in range(50)]
    for model in (MODEL, *others):
        write_locally(snapshot, path, model)
    unreadable = [file for model in others for file in path.rglob(f"model_version={model}/*.parquet")]
    for file in unreadable:
        file.write_bytes(b"no parquet")
    write_locally(snapshot, path)
    assert predictions_by_slot(path, [DAY], MODEL) == {"s0": 1}
    assert {*map(str, unreadable)} < set(DeltaTable(str(path)).file_uris())
    assert len(unreadable) == len(others)


def test_many_candidates_of_a_day_and_slot_are_spread_over_files(spark):
    ids = ("7 request_id", "8 user_id", "id campaign_id")
    rows = spark.range(400).selectExpr(*ids, f"date'{DAY}' date", "if(id < 300, 'large', 'small') slot")
    given = {(DAY, "large"): 3 * ROWS_PER_FILE, (DAY, "small"): ROWS_PER_FILE}
    counted = rows.groupBy("slot", file_of(given).alias("file")).count().collect()
    files = {slot: [row["count"] for row in counted if row["slot"] == slot] for slot in ("large", "small")}
    assert [len(files["large"]), files["small"]] == [3, [100]]
    assert min(files["large"]) > 60


def test_predictions_whose_ids_have_another_type_are_refused_by_name(tmp_path):
    path = tmp_path / "predictions"
    write_locally(training(tmp_path / "before"), path)
    other = training(tmp_path / "training", user_id=pa.int64())
    with pytest.raises(SnapshotError, match="has user_id as string, the training table as int64; move the folder away"):
        require_writable(path, other)


def test_predictions_that_lost_their_log_are_refused_and_stay(tmp_path):
    path, snapshot = tmp_path / "predictions", training(tmp_path / "training")
    write_locally(snapshot, path)
    (path / "_delta_log").rename(tmp_path / "lost")
    files = sorted(path.rglob("*"))
    with pytest.raises(SnapshotError, match=r"has 1 data files and no _delta_log: its log was lost"):
        require_writable(path, snapshot)
    assert sorted(path.rglob("*")) == files
    assert not is_delta_table(path)
