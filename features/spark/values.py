"""Values as Spark compares and hashes them: instants, comparable columns, hashes of rows and of sets of rows.

A row's hash is XXH64 over its columns and over which of them are null. A set's is its count and the sums of the upper
and of the lower halves of its rows' hashes, which add up over partitions and cannot overflow below 2**31 rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType, VariantType

from camoe.contracts.hashing import short_hash

# Every instant between these has a date of the years 1 to 9999 in every zone.
FIRST_INSTANT = "0001-01-02 00:00:00"
LAST_INSTANT = "9999-12-30 23:59:59.999999"

LOWER = 0xFFFFFFFF


def quoted(name: str) -> str:
    """Return the name of a column as SQL has it, whatever its characters."""
    return "`" + name.replace("`", "``") + "`"


def as_instant(value: Column) -> Column:
    """Cast to a timestamp; null where that fails, or outside the years 1 to 9999 (less a day at each end).

    Spark's timestamps reach some 290,000 years further, where a change of zone overflows: nanoseconds read as
    microseconds come to lie there.
    """
    moment = value.try_cast("timestamp")
    return F.when(moment == in_calendar(moment), moment)


def in_calendar(moment: Column) -> Column:
    """Limit the timestamp to the years 1 to 9999 (less a day at each end), so that it has a day."""
    first, last = (F.lit(text).cast("timestamp") for text in (FIRST_INSTANT, LAST_INSTANT))
    return F.when(moment < first, first).when(moment > last, last).otherwise(moment)


def comparable(column: Column, kind: DataType) -> Column:
    """Return the column, or its JSON where Spark can neither order nor hash its type."""
    return F.to_json(F.struct(column)) if _has_map(kind) else column


def _has_map(kind: DataType) -> bool:
    if isinstance(kind, StructType):
        return any(_has_map(item.dataType) for item in kind.fields)
    if isinstance(kind, ArrayType):
        return _has_map(kind.elementType)
    return isinstance(kind, MapType | VariantType)


def row_hash(columns: Sequence[str]) -> Column:
    """Hash a row over `columns` to 64 bits. XXH64 skips nulls, so which columns are null is hashed beside them."""
    return F.xxhash64(*columns, *[F.isnull(name) for name in columns])


def digest(rows: int, upper: int, lower: int) -> str:
    """Return a set's hash from its count and its two sums, as 16 hex digits."""
    return short_hash(f"{rows},{upper},{lower}")


def day_hashes(rows: DataFrame, columns: Sequence[str]) -> dict[date, str]:
    """Hash the rows of each `date` over `columns`, in one Spark job however many days there are."""
    hashed = rows.select("date", row_hash(columns).alias("hash"))
    found = hashed.groupBy("date").agg(*hash_sums()).orderBy("date").collect()
    return {row["date"]: digest(row["rows"], row["upper"], row["lower"]) for row in found}


def hash_sums() -> list[Column]:
    """Return the aggregates that `digest` takes, over the rows' column `hash`."""
    upper, lower = F.shiftrightunsigned("hash", 32), F.col("hash").bitwiseAND(F.lit(LOWER))
    return [F.count(F.lit(1)).alias("rows"), F.sum(upper).alias("upper"), F.sum(lower).alias("lower")]
