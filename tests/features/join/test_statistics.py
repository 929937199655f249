"""What is counted of an entity table before it is joined."""

from __future__ import annotations

from datetime import date

import pytest
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.choice import Limits
from features.join.names import key_hash
from features.join.point_in_time import decide
from features.join.statistics import measure_table
from features.join.versions import versions, with_key

LIMITS = Limits(broadcast_bytes=1 << 20)
ROOM = Limits(broadcast_bytes=8 << 20)
ROWS = 20_000
DAYS = [date(1970, 1, 1)]


def strategy(spark, **columns):
    """How a table of `ROWS` rows with these columns is joined where 8 MiB may be broadcast."""
    key, ts = F.col("id").cast("string"), F.timestamp_seconds(F.col("id"))
    served = spark.range(10).select(key.alias("user_id"), ts.alias("ts"), F.col("id").alias("impression_id"))
    table = spark.range(ROWS).select(key.alias("user_id"), ts.alias("ts"), *[of.alias(n) for n, of in columns.items()])
    entity = Entity(path="t", key="user_id", columns={name: name for name in ("user_id", "ts", *columns)})
    return decide(served, table, "user", entity, DAYS, limits=ROOM).strategy


@pytest.mark.parametrize("rows", [40, ROWS])
def test_rows_that_can_never_be_joined_are_counted_apart(spark, rows):
    """Of every ten rows one has no key, one a key that is no number, one no ts and one an unreadable available_at."""
    digit, number = F.col("id") % 10, F.col("id").cast("string")
    table = spark.range(rows).select(
        F.when(digit == 0, None).when(digit == 1, "x").otherwise(number).alias("user_id"),
        F.when(digit == 2, None).otherwise("2026-01-01 00:00:00").alias("ts"),
        F.when(digit == 3, "soon").otherwise("2026-01-02 00:00:00").alias("available_at"),
    )
    served = spark.range(10).select(F.col("id").alias("user_id"), F.timestamp_seconds("id").alias("ts"), "id")
    columns = {name: name for name in ("user_id", "ts", "available_at")}
    entity = Entity(path="t", key="user_id", columns=columns)
    choice = decide(served.withColumnRenamed("id", "impression_id"), table, "user", entity, DAYS, limits=LIMITS)
    assert choice.strategy == ("broadcast" if rows == 40 else "intervals")
    assert (choice.rows, choice.unusable) == (rows, rows * 4 // 10)
    assert str(choice).endswith(f", {rows * 4 // 10:,} of {rows:,} rows have no key or time")


def test_a_table_of_long_texts_of_long_arrays_or_of_many_columns_is_not_broadcast(spark):
    assert strategy(spark, value=F.lit(1.0)) == "broadcast"
    assert strategy(spark, text=F.repeat(F.lit("x"), F.lit(4_000))) == "intervals"
    assert strategy(spark, vector=F.array_repeat(F.lit(0.123456789), 500)) == "intervals"
    assert strategy(spark, **{f"value_{number}": F.lit(1.0) for number in range(60)}) == "intervals"


def test_the_keys_of_a_large_table_are_counted_by_a_sample_and_all_else_exactly(spark):
    key = (
        F.when(F.col("id") % 4 == 0, "hot")
        .when(F.col("id") % 100 == 1, None)
        .otherwise((F.col("id") % 9_999).cast("string"))
    )
    table = spark.range(200_000).select(key.alias("user_id"), F.timestamp_seconds(F.col("id")).alias("ts"))
    served = spark.range(1).select(F.lit("5").alias("user_id"))
    entity = Entity(path="t", key="user_id", columns={name: name for name in ("user_id", "ts")})
    found = versions(with_key(table, "user", entity, served), entity)
    hot, asked = (spark.range(1).select(key_hash(F.lit(name))).first()[0] for name in ("hot", "5"))
    limits = Limits(broadcast_bytes=1_000, hot_rows=5_000, sampled=16)
    counted = measure_table(found, entity, (0, 100_000 * 10**6 - 1), limits, [asked])
    assert (counted.rows, counted.unusable, counted.inside) == (198_000, 2_000, 99_000)
    assert counted.keys == pytest.approx(10_000, rel=0.2)
    assert set(counted.heavy) == {hot, asked}
    assert counted.heavy[hot] == counted.most_inside == pytest.approx(25_000, rel=0.2)
    exactly = measure_table(found, entity, (0, 100_000 * 10**6 - 1), Limits(hot_rows=5_000), [asked])
    assert (exactly.keys, exactly.heavy[hot], exactly.heavy[asked]) == (10_000, 25_000, counted.heavy[asked])
