"""What is counted of an entity table before it is joined."""

from __future__ import annotations

from datetime import date

from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.choice import Limits
from features.join.point_in_time import decide

LIMITS = Limits(broadcast_bytes=1 << 20, hashed_bytes=1 << 20)
ROWS = 20_000


def hint(spark, **columns):
    """How the table's intervals are brought to the impressions: by the sizes of its rows."""
    key, ts = F.col("id").cast("string"), F.timestamp_seconds(F.col("id"))
    served = spark.range(10).select(key.alias("user_id"), ts.alias("ts"), F.col("id").alias("impression_id"))
    table = spark.range(ROWS).select(key.alias("user_id"), ts.alias("ts"), *[of.alias(n) for n, of in columns.items()])
    entity = Entity(path="t", key="user_id", columns={name: name for name in ("user_id", "ts", *columns)})
    choice = decide(served, table, "user", entity, [date(1970, 1, 1)], limits=LIMITS)
    assert choice.strategy == "intervals"
    return choice.hint


def test_a_table_of_long_texts_or_arrays_is_not_held_in_a_hash_table(spark):
    assert hint(spark, value=F.lit(1.0)) == "shuffle_hash"
    assert hint(spark, text=F.repeat(F.lit("x"), F.lit(4_000))) == "merge"
    assert hint(spark, vector=F.array_repeat(F.lit(0.123456789), 500)) == "merge"
