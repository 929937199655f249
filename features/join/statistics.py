"""Counts of an entity table and of the impressions that it is joined to, each in one pass over a few narrow columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, MapType, StringType, StructType, VariantType

from camoe.contracts.sources import Entity
from features.join.choice import Key, Limits, ServedStatistics, TableStatistics
from features.join.names import BRACKET, FROM, KEY, key_hash
from features.join.versions import joinable

SAMPLE = 1_000
SEED = 1
WORD_BYTES = 8
# A local day may begin 14 hours before, or end 12 hours after, the day of that name in UTC.
ZONES = timedelta(hours=14)


def bounds(days: Sequence[date]) -> tuple[int, int]:
    """Return the first and last microsecond that may lie on one of `days` in some time zone."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    begin = datetime(min(days).year, min(days).month, min(days).day, tzinfo=UTC) - epoch - ZONES
    end = datetime(max(days).year, max(days).month, max(days).day, tzinfo=UTC) - epoch + timedelta(days=1) + ZONES
    micros = timedelta(microseconds=1)
    return begin // micros, end // micros


def measure_table(
    versions: DataFrame, entity: Entity, within: tuple[int, int], limits: Limits, asked: Collection[Key] = ()
) -> TableStatistics:
    """Count `versions` (of `features.join.versions`); `asked`: keys wanted however few their rows.

    Of a table that seems large no more columns are read than its keys and times; keys are counted by one in
    `limits.sampled`, and those of many rows are found by as small a share of the rows.
    """
    large = seems_large(versions, limits)
    step = limits.sampled if large and entity.strategy != "broadcast" else 1
    nested = None if large else _nested_bytes(versions)
    within_days = F.col(FROM).between(*within) if "ts" in entity.columns else F.lit(True)
    named, whole = key_hash(F.col(KEY)), _whole(key_hash(F.col(KEY)), step, asked)
    # Rows that are not looked at, and those that can never be joined, make one group, which has no key.
    by_key = versions.groupBy(F.when(joinable() & (whole | _one_in(step)), named).alias("key")).agg(
        F.count_if(joinable()).alias("rows"),
        F.count_if(~joinable()).alias("unusable"),
        F.count_if(joinable() & within_days).alias("inside"),
        (F.lit(0) if nested is None else F.sum(nested)).alias("size"),
    )
    counted = F.col("key").isNotNull() & _whole(F.col("key"), step, asked)
    inside = F.when(counted, F.col("inside")).otherwise(F.col("inside") * step)
    many = F.col("key").isNotNull() & (inside >= limits.hot_rows)
    found = by_key.agg(
        *(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in ("rows", "unusable", "inside", "size")),
        (F.count_if(F.pmod("key", F.lit(step)) == 0) * step).alias("keys"),
        # What stands for a few rows that were looked at is no count of a key.
        F.coalesce(F.max(F.when(counted | many, inside)), F.lit(0)).alias("most"),
        _heaviest(many | F.col("key").isin(list(asked)), inside, 2 * limits.hot_keys).alias("heavy"),
    ).collect()[0]
    return TableStatistics(
        rows=found["rows"],
        keys=found["keys"],
        row_bytes=_row_bytes(versions, found["rows"], limits)
        if nested is None
        else _fixed_bytes(versions) + found["size"] / max(1, found["rows"] + found["unusable"]),
        inside=found["inside"],
        most_inside=found["most"],
        heavy={row["key"]: row["rows"] for row in found["heavy"]},
        unusable=found["unusable"],
    )


def measure_served(impressions: DataFrame, entity: Entity, limits: Limits) -> ServedStatistics:
    """Count the impressions that have the entity's key and a time, and find the keys of many impressions.

    The keys are counted by one impression in `limits.sampled`; the others make one group.
    """
    instant = F.unix_micros(F.col("ts").cast("timestamp"))
    known = impressions.where(F.col(entity.key).isNotNull() & F.col("ts").isNotNull())
    by_key = known.groupBy(F.when(_one_in(limits.sampled), key_hash(F.col(entity.key))).alias("key")).agg(
        F.count(F.lit(1)).alias("seen"), F.min(instant).alias("first"), F.max(instant).alias("last")
    )
    rows = F.col("seen") * limits.sampled
    found = by_key.agg(
        F.coalesce(F.sum("seen"), F.lit(0)).alias("rows"),
        F.coalesce(F.min("first"), F.lit(0)).alias("first"),
        F.coalesce(F.max("last"), F.lit(0)).alias("last"),
        _heaviest(F.col("key").isNotNull() & (rows >= limits.hot_rows), rows, limits.hot_keys).alias("heavy"),
    ).collect()[0]
    heavy = {row["key"]: row["rows"] for row in found["heavy"]}
    return ServedStatistics(found["rows"], found["first"], found["last"], heavy)


def _whole(key: Column, step: int, asked: Collection[Key]) -> Column:
    """Return whether all rows of the key with this hash are looked at: of one key in `step`, and of those asked for."""
    return (F.pmod(key, F.lit(step)) == 0) | key.isin(list(asked))


def _one_in(step: int) -> Column:
    """Return whether a row is one of the one in `step` that are looked at, without a look at any of its columns."""
    return F.rand(SEED) < 1 / step


def _heaviest(wanted: Column, rows: Column, most: int) -> Column:
    """Return an aggregate: the `most` keys of many rows, heaviest first, and one more, which shows that there are more.

    The list is short before it is cut, too: a key in it stands for `hot_rows` rows, or was asked for.
    """
    heavy = F.when(wanted, F.struct(rows.alias("rows"), F.col("key").alias("key")))
    return F.slice(F.sort_array(F.collect_list(heavy), asc=False), 1, most + 1)


def seems_large(rows: DataFrame, limits: Limits) -> bool:
    """Return whether the optimizer, going by the sizes of files, takes the rows for more than a broadcast may hold."""
    return int(str(rows._jdf.queryExecution().optimizedPlan().stats().sizeInBytes())) > limits.broadcast_bytes


def densest(bracketed: DataFrame) -> int:
    """Return the most versions that one (key, bracket) has."""
    most = bracketed.groupBy(KEY, BRACKET).count().agg(F.max("count").alias("most")).first()
    return 0 if most is None or most["most"] is None else int(most["most"])


def _row_bytes(versions: DataFrame, rows: int, limits: Limits) -> float:
    """Return the bytes of a row in memory: a word a column, and what the first rows' texts and nested values take.

    The words alone where they make the table too large for a broadcast.
    """
    fixed, nested = _fixed_bytes(versions), _nested_bytes(versions)
    if nested is None or rows * fixed > limits.broadcast_bytes:
        return fixed
    mean = versions.limit(SAMPLE).agg(F.avg(nested).alias("mean")).first()
    return fixed + (0.0 if mean is None or mean["mean"] is None else float(mean["mean"]))


def _fixed_bytes(versions: DataFrame) -> float:
    return float(WORD_BYTES * (len(versions.columns) + 1))


def _nested_bytes(versions: DataFrame) -> Column | None:
    """Return the bytes of a row's texts and nested values; None where no column has any."""
    sizes = [size for item in versions.schema.fields if (size := _size(item.name, item.dataType)) is not None]
    return reduce(Column.__add__, sizes) if sizes else None


def _size(name: str, kind: DataType) -> Column | None:
    if isinstance(kind, StringType | BinaryType):
        return F.coalesce(F.octet_length(name), F.lit(0))
    if isinstance(kind, ArrayType | MapType | StructType | VariantType):
        return F.coalesce(F.octet_length(F.to_json(F.struct(name))), F.lit(0))
    return None
