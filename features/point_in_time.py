"""Entity rows joined to impressions as they were known when each impression was served.

Union and running maximum over one sort per key: linear in the rows whatever a key's share of them, and the joined
row is always a whole row of the entity, never columns of several.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity

AGE = "age_s"
# Impressions without a key are spread over this many groups, so that they do not meet in one task.
SPREAD = 1024


def join_entity(impressions: DataFrame, rows: DataFrame, name: str, entity: Entity) -> DataFrame:
    """Add the struct column `name`: the entity's mapped columns and `age_s`; null without a match. Rows out = rows in.

    With `ts` the row joined is the greatest by (ts, then available_at, then its other columns) among the rows with
    ts <= impression ts and available_at <= impression ts, unless it is older than `lookback_s` seconds (inclusive);
    rows with a null ts or available_at are never joined. Without `ts`, the key's one row, with null `age_s`.
    """
    salted = impressions.withColumn("_salt", _salt(entity.key))
    keyed = with_key(rows, entity, impressions).withColumn("_salt", F.lit(0).cast("long"))
    join = _join_versions if "ts" in entity.columns else _join_rows
    return join(salted, keyed, name, entity).select(*impressions.columns, name)


def with_key(rows: DataFrame, entity: Entity, impressions: DataFrame) -> DataFrame:
    """The rows that can match, with `_key`: the key in the type that the impressions' key has.

    Several spellings of a key, such as the strings '1' and '01', are one where that type is a number.
    """
    key = F.col(entity.key).try_cast(impressions.schema[entity.key].dataType)
    return rows.withColumn("_key", key).where(F.col("_key").isNotNull())


def _salt(key: str) -> Column:
    spread = F.pmod(F.xxhash64("impression_id"), F.lit(SPREAD)) + 1
    return F.when(F.col(key).isNull(), spread).otherwise(F.lit(0)).cast("long")


def _join_rows(impressions: DataFrame, rows: DataFrame, name: str, entity: Entity) -> DataFrame:
    payload = F.struct(*entity.columns, F.lit(None).cast("double").alias(AGE))
    right = rows.select(F.col("_key").alias(entity.key), "_salt", payload.alias(name))
    return impressions.join(right, on=[entity.key, "_salt"], how="left")


def _join_versions(impressions: DataFrame, rows: DataFrame, name: str, entity: Entity) -> DataFrame:
    served = impressions.select(
        F.col(entity.key).alias("_key"),
        "_salt",
        F.col("ts").alias("_time"),
        F.struct(*impressions.columns).alias("_impression"),
    )
    events = _versions(rows, entity).unionByName(served, allowMissingColumns=True)
    # Nulls sort first by default; an impression comes after the versions of its own instant.
    order = Window.partitionBy("_key", "_salt").orderBy("_time", F.col("_impression").isNotNull())
    past = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    newest = events.withColumn("_newest", F.max("_version").over(past)).where(F.col("_impression").isNotNull())
    age = _seconds(F.col("_impression.ts")) - _seconds(F.col("_newest.ts"))
    matched = F.col("_newest").isNotNull()
    if entity.lookback_s is not None:
        matched = matched & (age <= entity.lookback_s)
    payload = F.struct(*[F.col(f"_newest.{column}") for column in entity.columns], age.alias(AGE))
    return newest.select("_impression.*", F.when(matched, payload).alias(name))


def _versions(rows: DataFrame, entity: Entity) -> DataFrame:
    """`_key`, `_salt`, `_time` (when the version is known and has begun) and `_version`, ordered as the tie rule."""
    times: list[str] = [name for name in ("ts", "available_at") if name in entity.columns]
    rest = [name for name in entity.columns if name not in times]
    typed = rows.withColumns({name: F.col(name).try_cast("timestamp") for name in times}).dropna("any", subset=times)
    known = F.greatest(*times) if len(times) > 1 else F.col("ts")
    return typed.select("_key", "_salt", known.alias("_time"), F.struct(*times, *rest).alias("_version"))


def _seconds(ts: Column) -> Column:
    return F.unix_micros(ts) / 1e6
