"""The point-in-time join against a brute-force search."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camoe.contracts.sources import Entity
from features.point_in_time import join_entity

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
LOOKBACK_S = 4

# Few keys and few instants, so that ties, corrections and late rows are common.
keys = st.one_of(st.none(), st.integers(0, 12).map(str))
seconds = st.integers(-2, 9)
maybe_seconds = st.one_of(st.none(), seconds)
impressions = st.lists(st.tuples(keys, seconds), min_size=40, max_size=120)
versions = st.lists(
    st.tuples(keys, maybe_seconds, maybe_seconds, st.one_of(st.none(), st.integers(0, 3))), min_size=40, max_size=200
)
batches = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def at(second):
    return None if second is None else EPOCH + timedelta(seconds=second)


def entity(available, lookback_s):
    columns = {"user_id": "user_id", "ts": "ts", "value": "value"}
    if available:
        columns["available_at"] = "available_at"
    return Entity(path="-", key="user_id", columns=columns, lookback_s=lookback_s)


def frames(spark, served, rows, available):
    left = spark.createDataFrame(
        [(number, key, at(second)) for number, (key, second) in enumerate(served)],
        "impression_id int, user_id string, ts timestamp",
    )
    right = spark.createDataFrame(
        [(key, at(begun), at(known), value) for key, begun, known, value in rows],
        "user_id string, ts timestamp, available_at timestamp, value int",
    )
    return left, right if available else right.drop("available_at")


def found(joined):
    rows = joined.collect()
    answer = {
        row.impression_id: None if row.user is None else (row.user.ts.timestamp(), row.user.value, row.user.age_s)
        for row in rows
    }
    assert len(answer) == len(rows)
    return answer


def searched(served, rows, available, lookback_s):
    answer = {}
    for number, (key, now) in enumerate(served):
        past = [
            (begun, known if available else 0, -1 if value is None else value)
            for version_key, begun, known, value in rows
            if key is not None and version_key == key and begun is not None and begun <= now
            if not available or (known is not None and known <= now)
        ]
        best = max(past, default=None)
        if best is None or (lookback_s is not None and now - best[0] > lookback_s):
            answer[number] = None
        else:
            answer[number] = (at(best[0]).timestamp(), None if best[2] < 0 else best[2], float(now - best[0]))
    return answer


@pytest.mark.parametrize("lookback_s", [None, LOOKBACK_S])
@pytest.mark.parametrize("available", [False, True])
def test_joins_what_a_search_of_all_versions_finds(spark, available, lookback_s):
    @batches
    @given(served=impressions, rows=versions)
    def agrees(served, rows):
        left, right = frames(spark, served, rows, available)
        joined = join_entity(left, right, "user", entity(available, lookback_s))
        assert found(joined) == searched(served, rows, available, lookback_s)

    agrees()


def test_a_correction_that_came_later_does_not_leak_and_then_wins(spark):
    rows = [("a", 0, 0, 1), ("a", 1, 5, 2), ("a", 0, 7, 3)]
    left, right = frames(spark, [("a", 4), ("a", 5), ("a", 8)], rows, available=True)
    answer = found(join_entity(left, right, "user", entity(True, None)))
    assert [answer[number][1] for number in range(3)] == [1, 2, 2]


def test_a_null_in_the_newest_version_is_its_value(spark):
    left, right = frames(spark, [("a", 4)], [("a", 0, 0, 1), ("a", 1, 1, None)], available=True)
    assert found(join_entity(left, right, "user", entity(True, None)))[0][1] is None


def test_a_table_without_ts_gives_the_one_row_of_the_key_and_keeps_the_rest(spark):
    left, _ = frames(spark, [("a", 1), (None, 2), ("b", 3), ("a", 4)], [], available=False)
    right = spark.createDataFrame([("a", 7), (None, 8)], "user_id string, value int")
    static = Entity(path="-", key="user_id", columns={"user_id": "user_id", "value": "value"})
    rows = join_entity(left, right, "user", static).orderBy("impression_id").collect()
    assert [row.user and row.user.value for row in rows] == [7, None, None, 7]
    assert rows[0].user.age_s is None


def test_a_key_of_another_type_still_matches(spark):
    left, _ = frames(spark, [("12", 1)], [], available=False)
    right = spark.createDataFrame([(12, 7)], "user_id long, value int")
    static = Entity(path="-", key="user_id", columns={"user_id": "user_id", "value": "value"})
    assert join_entity(left, right, "user", static).first().user.value == 7
