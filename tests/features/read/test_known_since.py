"""Of an entity table a run reads the rows that became known since the first day that its joins look back to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from camoe.contracts.sources import Entity
from features.join.entities import join_entities
from features.read.raw import read_table
from tests.features.read.days import DAY_S, day, sources
from tests.features.read.logs import as_csv

NOON = datetime(2026, 3, 28, 12, tzinfo=UTC)
COLUMNS = {"user_id": "user", "ts": "ts", "available_at": "available_at", "plan": "plan"}


def moments(*days):
    return [None if number is None else NOON + timedelta(days=number) for number in days]


def users(told=(0, 1, 2, 9, 9, None), known=(0, 1, 9, 9, None, 9)):
    names = [f"u{number}" for number in range(len(told))]
    times = pa.timestamp("us", tz="UTC")
    return pa.table(
        {
            "user": names,
            "ts": pa.array(moments(*told), times),
            "available_at": pa.array(moments(*known), times),
            "plan": [f"plan {name}" for name in names],
        }
    )


def entity(kind="parquet", **changes):
    return Entity.model_validate(
        {"path": "users", "format": kind, "key": "user_id", "columns": COLUMNS, "lookback_s": DAY_S, **changes}
    )


def write(folder, kind):
    (folder / "users").mkdir()
    for number in range(users().num_rows):
        if kind == "delta":
            write_deltalake(folder / "users", users().slice(number, 1), mode="append")
        else:
            pq.write_table(users().slice(number, 1), folder / f"users/{number}.parquet")


@pytest.mark.parametrize("kind", ["parquet", "delta"])
def test_rows_that_became_known_before_are_left_out_and_so_are_their_files(spark, tmp_path, kind):
    write(tmp_path, kind)
    since = NOON + timedelta(days=5)
    rows = read_table(spark, tmp_path, "user", entity(kind), None, since=since)
    # A row that lacks a time is counted as one that is never joined.
    assert sorted(row.user_id for row in rows.collect()) == ["u2", "u3", "u4", "u5"]
    plan = rows._jdf.queryExecution().executedPlan().toString()
    assert "GreaterThanOrEqual(ts," in plan
    assert "IsNull(available_at)" in plan
    assert read_table(spark, tmp_path, "user", entity(kind), None).count() == 6


def test_text_and_tables_without_times_are_read_whole(spark, tmp_path):
    (tmp_path / "users").write_bytes(as_csv([{"user": "u", "plan": "p"}], ("user", "plan")))
    without = entity("csv", columns={"user_id": "user", "plan": "plan"}, lookback_s=None, options={"header": "true"})
    assert read_table(spark, tmp_path, "user", without, None, since=NOON).count() == 1


def test_a_join_is_the_same_whatever_became_known_before_its_days_look_back(spark, tmp_path):
    write(tmp_path, "parquet")
    read = sources(entities={"user": entity().model_dump(mode="json")}).model_copy(update={"outcomes": None})
    read = read.model_copy(update={"entities": {"user": entity()}})
    shown = spark.createDataFrame(
        [(f"i{number}", f"u{number}", NOON + timedelta(days=9, hours=1)) for number in range(6)],
        "impression_id string, user_id string, ts timestamp",
    )

    def joined(since):
        tables = {"user": read_table(spark, tmp_path, "user", entity(), None, since=since)}
        rows = join_entities(shown, tables, read, [day(9)]).frame.collect()
        return {row.user_id: row.user and row.user.plan for row in rows}

    assert (
        joined(NOON + timedelta(days=8)) == joined(None) == {f"u{n}": "plan u3" if n == 3 else None for n in range(6)}
    )
