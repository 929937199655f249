"""What Spark is asked to do: nothing random, no shuffle for a broadcast, and a hot key's rows in many tasks."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.choice import Brackets, Choice, Limits
from features.join.point_in_time import decide, join_entity
from features.join.statistics import measure_served
from tests.features.join.hashes import spark_hash_of
from tests.sparks import set_to

TASKS = 8
# Every task of a shuffle by itself.
EVERY_TASK = {
    "spark.sql.shuffle.partitions": str(TASKS),
    "spark.sql.adaptive.coalescePartitions.enabled": "false",
}
HOT = (spark_hash_of("hot"),)
HOUR = 3_600_000_000
COLUMNS = {"user_id": "user_id", "ts": "ts", "value": "value"}
VERSIONED = Entity(path="-", key="user_id", columns=COLUMNS)
STATIC = Entity(path="-", key="user_id", columns={"user_id": "user_id", "value": "value"})
CUT = Brackets(0, HOUR, 24)
# Half of the impressions and versions are one user's; a tenth of the impressions have no user.
SMALL = Limits(broadcast_bytes=1_000, hot_rows=100, versions_a_bracket=16, impressions_a_bracket=50, sampled=1)


@pytest.fixture(scope="module")
def sides(spark):
    day = F.timestamp_micros((F.col("id") * 7_919 % 86_400) * 1_000_000)
    user = F.when(F.col("id") % 2 == 0, "hot").otherwise(F.concat(F.lit("u"), F.col("id") % 50))
    rows = spark.range(2_000).select(user.alias("user_id"), day.alias("ts"), F.col("id").alias("value"))
    known = F.when(F.col("id") % 10 != 1, user)
    served = spark.range(4_000).select(F.col("id").alias("impression_id"), known.alias("user_id"), day.alias("ts"))
    return served, rows


def nodes(plan):
    """The operators of a physical plan, those within a broadcast left out."""
    yield plan.nodeName()
    children = plan.children()
    for index in range(children.size()):
        if children.apply(index).nodeName() != "BroadcastExchange":
            yield from nodes(children.apply(index))


def choices():
    yield VERSIONED, Choice("user", "broadcast", "-", CUT)
    yield STATIC, Choice("user", "broadcast", "-")
    yield STATIC, Choice("user", "intervals", "-", Brackets(0, 1, TASKS), HOT)
    for strategy in ("intervals", "union"):
        yield VERSIONED, Choice("user", strategy, "-", CUT, HOT)


def test_no_strategy_draws_lots(sides):
    served, rows = sides
    assert not served.withColumn("salt", F.rand(1))._jdf.queryExecution().analyzed().deterministic()
    for entity, choice in choices():
        plan = join_entity(served, rows, "user", entity, choice)._jdf.queryExecution()
        assert plan.analyzed().deterministic()
        assert plan.optimizedPlan().deterministic()


def test_a_broadcast_shuffles_no_impression_and_the_others_do(spark, sides):
    served, rows = sides
    with set_to(spark, {"spark.sql.adaptive.enabled": "false"}):
        for entity, choice in choices():
            plan = join_entity(served, rows, "user", entity, choice)._jdf.queryExecution().executedPlan()
            found = set(nodes(plan))
            assert "BroadcastHashJoin" in found or choice.strategy != "broadcast"
            assert ("Exchange" in found) == (choice.strategy != "broadcast")


@pytest.mark.parametrize("kind", ["intervals", "union", "static"])
def test_a_hot_key_and_rows_without_a_key_are_spread_over_the_tasks(spark, sides, kind):
    served, rows = sides
    entity = STATIC if kind == "static" else VERSIONED.model_copy(update={"strategy": kind})
    table = rows.dropDuplicates(["user_id"]) if kind == "static" else rows
    with set_to(spark, EVERY_TASK):
        choice = decide(served, table, "user", entity, [date(1970, 1, 1)], limits=SMALL)
        assert (choice.strategy, choice.hot) == ("union" if kind == "union" else "intervals", HOT)
        joined = join_entity(served, table, "user", entity, choice)
        task = F.spark_partition_id().alias("task")
        matched = F.col("user").isNotNull()
        own = matched & (F.col("user.user_id") == F.col("user_id")) & F.col("user.value").isNotNull()
        counts = (F.count(F.lit(1)).alias("rows"), F.count_if(matched).alias("matched"), F.count_if(own).alias("own"))
        tasks = joined.groupBy("user_id", task).agg(*counts).collect()
    for key, total in (("hot", 2_000), (None, 400)):
        shares = [row["rows"] / total for row in tasks if row["user_id"] == key]
        assert sum(shares) == pytest.approx(1)
        assert len(shares) == TASKS
        assert max(shares) < 0.4
    assert {row["matched"] for row in tasks if row["user_id"] is None} == {0}
    assert [row["matched"] for row in tasks] == [row["own"] for row in tasks]
    if kind == "static":
        assert all(row["matched"] == row["rows"] for row in tasks if row["user_id"] is not None)


def test_the_times_of_all_impressions_count_whatever_keys_are_named(spark):
    rows = [("a", 5), ("a", 6), ("a", 7), ("b", 5), ("b", 6), ("c", 1), ("c", 2), ("d", 9), (None, 99)]
    served = spark.createDataFrame(rows, "user_id string, second long").select(
        F.col("second").alias("impression_id"), "user_id", F.timestamp_seconds("second").alias("ts")
    )
    found = measure_served(served, VERSIONED, Limits(hot_keys=1, hot_rows=2, sampled=1))
    assert (found.rows, found.first, found.last) == (8, 1_000_000, 9_000_000)
    assert sorted(found.heavy.values()) == [2, 3]
