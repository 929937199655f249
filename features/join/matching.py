"""The two sides of a join made ready to meet, and the struct that an impression gets."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.names import (
    ADDRESS,
    AGE,
    BRACKET,
    FROM,
    INSTANT,
    KEY,
    SERVED_ADDRESS,
    SERVED_BRACKET,
    TO,
    address,
    field,
)
from features.join.versions import SECOND


def with_instant(impressions: DataFrame) -> DataFrame:
    """Add `_instant` to impressions: the microsecond of their ts."""
    return impressions.withColumn(INSTANT, F.unix_micros(F.col("ts").cast("timestamp")))


def placed(timed: DataFrame, entity: Entity) -> DataFrame:
    """Add `_served_address` to impressions that have `_instant` and `_served_bracket`.

    An impression that cannot match, because it lacks a key, a time or a bracket, gets an address by its id, so that
    those do not all meet in one task.
    """
    known = [F.col(name).isNotNull() for name in (entity.key, INSTANT, SERVED_BRACKET)]
    own = address(F.col(entity.key), F.col(SERVED_BRACKET))
    joinable = F.when(known[0] & known[1] & known[2], own)
    return timed.withColumn(SERVED_ADDRESS, F.coalesce(joinable, F.xxhash64("impression_id")))


def met(served: DataFrame, rows: DataFrame, name: str, entity: Entity) -> DataFrame:
    """Join each placed impression to the one of `rows` of its key and bracket that holds its instant, or to none."""
    # Only the address is compared by `=`: Spark would shuffle and sort by each column that is. The times come first:
    # of the rows of an address they leave one, and two numbers are compared faster than two texts.
    condition = F.col(SERVED_ADDRESS) == F.col(ADDRESS)
    if "ts" in entity.columns:
        condition = condition & (F.col(FROM) <= F.col(INSTANT)) & (F.col(INSTANT) < F.col(TO))
    condition = condition & F.col(SERVED_BRACKET).between(F.col(BRACKET), F.col(BRACKET))
    condition = condition & F.col(entity.key).between(F.col(KEY), F.col(KEY))
    return with_row(served.join(rows, on=condition, how="left"), F.col(ADDRESS).isNotNull(), name, entity)


def with_row(both: DataFrame, matched: Column, name: str, entity: Entity) -> DataFrame:
    """Add the struct `name` of the entity's columns and `age_s`, null unless `matched`."""
    age = F.lit(None).cast("double")
    if "ts" in entity.columns:
        age = F.try_subtract(F.col(INSTANT), F.unix_micros(field("ts"))) / F.lit(SECOND)
    row = F.struct(*[F.col(field(column)).alias(column) for column in entity.columns], age.alias(AGE))
    return both.withColumn(name, F.when(matched, row))
