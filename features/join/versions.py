"""Entity rows as versions, and versions as half-open intervals of time that do not overlap."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.names import ADDRESS, BRACKET, FROM, KEY, TO, field
from features.spark.keys import as_key
from features.spark.values import comparable

END_OF_TIME = (1 << 63) - 1
SECOND = 1_000_000


def with_key(rows: DataFrame, name: str, entity: Entity, impressions: DataFrame) -> DataFrame:
    """Add `_key` to the rows: the key in the type that the impressions' key has, null where it is none of that type.

    Several spellings of a key, such as the strings '1' and '01', are one where that type is a number. Raises
    `InputError` when no value can meet another.
    """
    return rows.withColumn(KEY, as_key(rows, entity.key, impressions, name))


def versions(keyed: DataFrame, entity: Entity) -> DataFrame:
    """Select `_key`, `_from` and the entity's columns, these under the names that `field` gives.

    `_from` is the first microsecond at which an impression may see the row: that of the later of ts and available_at,
    or with bound `<` the next one; null where one of them is. Without ts it is 0.
    """
    times: list[str] = [name for name in ("ts", "available_at") if name in entity.columns]
    typed = keyed.withColumns({name: F.col(name).try_cast("timestamp") for name in times})
    fields = [F.col(name).alias(field(name)) for name in entity.columns]
    return typed.select(KEY, _begin(times, entity.bound).alias(FROM), *fields)


def joinable() -> Column:
    """Return whether a row of `versions` can ever be joined: it has a key and its times."""
    return F.col(KEY).isNotNull() & F.col(FROM).isNotNull()


def _begin(times: list[str], bound: str) -> Column:
    if not times:
        return F.lit(0).cast("long")
    begins = [F.unix_micros(F.col(name)) for name in times]
    later = begins[0] if len(begins) == 1 else F.when(begins[1].isNull(), begins[1]).otherwise(_later(*begins))
    return F.try_add(later, F.lit(1)) if bound == "<" else later


def _later(begun: Column, known: Column) -> Column:
    # Not `greatest`, which skips nulls.
    return F.when(begun >= known, begun).when(begun < known, known)


def rank(entity: Entity) -> list[str]:
    """Return the columns by which versions of different instants are compared: ts, then ties, then available_at.

    Versions that agree in these also agree in their instant.
    """
    last = [name for name in ("available_at",) if name in entity.columns]
    return [field(name) for name in dict.fromkeys(["ts", *entity.ties, *last])]


def total_order(frame: DataFrame, entity: Entity) -> list[Column]:
    """Return sort keys that put the greatest version of an instant last: the rank, then every other column."""
    names = dict.fromkeys([*rank(entity), *[field(name) for name in entity.columns]])
    return [comparable(F.col(name), frame.schema[name].dataType) for name in names]


def intervals(addressed: DataFrame, entity: Entity) -> DataFrame:
    """Return each version that ever wins, with `_to`: the `_from` of the next one, or where its lookback ends.

    `addressed`: versions with `_bracket` and `_address`. A version wins from `_from` on when it is the greatest by
    `rank` of all that begin until then, and by `total_order` of those that begin in the same instant; so late
    corrections of rows that are outdated vanish, and the intervals of a (key, bracket) do not overlap.
    """
    group = Window.partitionBy(ADDRESS, KEY, BRACKET)
    sequence = group.orderBy(FROM, *total_order(addressed, entity))
    following = F.lead(FROM).over(sequence)
    if "available_at" in entity.columns:
        ranked = F.struct(*rank(entity))
        best = F.max(ranked).over(sequence.rowsBetween(Window.unboundedPreceding, Window.currentRow))
        judged = addressed.withColumns({"_best": best, TO: following}).where(ranked.eqNullSafe(F.col("_best")))
        # Versions that lose are gone, so the next begin is looked up again.
        winners = _last_of_instant(judged).drop("_best")
        ended = winners.withColumn(TO, F.lead(FROM).over(group.orderBy(FROM)))
    else:
        ended = _last_of_instant(addressed.withColumn(TO, following))
    return _within_lookback(ended.withColumn(TO, F.coalesce(TO, F.lit(END_OF_TIME))), entity)


def _last_of_instant(frame: DataFrame) -> DataFrame:
    return frame.where(F.col(TO).isNull() | (F.col(TO) > F.col(FROM)))


def _within_lookback(frame: DataFrame, entity: Entity) -> DataFrame:
    if entity.lookback_s is None:
        return frame
    reach = F.try_add(F.unix_micros(field("ts")), F.lit(entity.lookback_s * SECOND + 1))
    return frame.withColumn(TO, F.least(TO, reach)).where(F.col(TO) > F.col(FROM))


def visible(rows: DataFrame, entity: Entity, within: tuple[int, int]) -> DataFrame:
    """Return the versions that an impression `within` (first and last microsecond) may see or be denied by.

    Rows are filtered by ts too, so that files of other times are not read.
    """
    if "ts" not in entity.columns:
        return rows
    first, last = within
    ts = F.col(field("ts"))
    seen = rows.where((F.col(FROM) <= last) & (ts <= F.timestamp_micros(F.lit(last))))
    if entity.lookback_s is None:
        return seen
    return seen.where(ts >= F.timestamp_micros(F.lit(first - entity.lookback_s * SECOND)))
