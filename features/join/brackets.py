"""Brackets of time: a key's rows cut into stretches that are joined apart, each complete in itself."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.choice import Brackets, Key
from features.join.names import ADDRESS, BRACKET, FROM, KEY, TO, address, key_hash
from features.join.versions import rank, total_order


def bracket_of(instant: Column, brackets: Brackets) -> Column:
    """The bracket of a microsecond: 0 to count - 1, -1 before the first and count after the last; null for null."""
    if brackets.count == 1:
        return F.when(instant.isNotNull(), F.lit(0).cast("long"))
    inside = F.call_function("div", instant - F.lit(brackets.first), F.lit(brackets.width))
    outside = F.when(instant < brackets.first, F.lit(-1)).when(instant >= brackets.end, F.lit(brackets.count))
    return outside.otherwise(inside).cast("long")


def is_hot(key: str, hot: Sequence[Key]) -> Column:
    """Whether a row's key is one that is cut. `hot` are hashes; to cut a key that shares one does no harm."""
    return key_hash(F.col(key)).isin(list(hot)) if hot else F.lit(False)


def uncut(rows: DataFrame) -> DataFrame:
    """Versions with `_bracket` 0 and `_address`."""
    return addressed(rows.withColumn(BRACKET, F.lit(0).cast("long")))


def addressed(rows: DataFrame) -> DataFrame:
    """Versions or intervals with the `_address` of their key and bracket."""
    return rows.withColumn(ADDRESS, address(F.col(KEY), F.col(BRACKET)))


def copied(intervals: DataFrame, brackets: Brackets) -> DataFrame:
    """Each interval once in every bracket that it touches: at most one row more a key and bracket."""
    first, last = bracket_of(F.col(FROM), brackets), bracket_of(F.col(TO) - 1, brackets)
    return addressed(intervals.withColumn(BRACKET, F.explode(F.sequence(first, last))))


def dealt(rows: DataFrame, hot: Sequence[Key], brackets: Brackets) -> DataFrame:
    """Rows without ts: those of hot keys once in every bracket, the others in bracket 0."""
    every = F.sequence(F.lit(0).cast("long"), F.lit(brackets.count - 1).cast("long"))
    first = F.array(F.lit(0).cast("long"))
    spread = F.explode(F.when(is_hot(KEY, hot), every).otherwise(first))
    return addressed(rows.withColumn(BRACKET, spread))


def cut(rows: DataFrame, entity: Entity, hot: Sequence[Key], brackets: Brackets) -> DataFrame:
    """Versions with `_bracket` and `_address`: those of hot keys cut by time, the others in bracket 0.

    Each bracket of a hot key begins with the version that is the greatest of all brackets before it, so that within
    the bracket the join needs nothing from outside. What lies before the first bracket comes in that version only,
    and what lies after the last is left out, so the impressions must lie within the brackets.
    """
    if not hot:
        return uncut(rows)
    whole = rows.withColumn(
        BRACKET, F.when(is_hot(KEY, hot), bracket_of(F.col(FROM), brackets)).otherwise(F.lit(0).cast("long"))
    )
    own = whole.where(F.col(BRACKET).between(0, brackets.count - 1))
    carried = carried_in(whole.where(is_hot(KEY, hot) & (F.col(BRACKET) < brackets.count)), entity, brackets)
    return addressed(own.unionByName(carried))


def carried_in(hot: DataFrame, entity: Entity, brackets: Brackets) -> DataFrame:
    """For every bracket after a key's first version, the greatest version of the brackets before, at its begin.

    One aggregate a (key, bracket), then a running maximum over the brackets of a key: linear, and the versions
    themselves never meet in one task.
    """
    names = [name for name in hot.columns if name not in (KEY, BRACKET, FROM)]
    greatest = F.max_by(F.struct(*names), F.struct(*total_order(hot, entity)))
    best = hot.groupBy(KEY, BRACKET).agg(greatest.alias("_best"))
    timeline = Window.partitionBy(KEY).orderBy(BRACKET)
    past = timeline.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    # Versions of two brackets began in different instants, so their ranks differ.
    running = F.max_by("_best", F.struct(*[F.col(f"_best.{name}") for name in rank(entity)])).over(past)
    until = F.least(F.coalesce(F.lead(BRACKET).over(timeline), F.lit(brackets.count)), F.lit(brackets.count - 1))
    known = best.select(KEY, (F.col(BRACKET) + 1).alias("_next"), until.alias("_until"), running.alias("_best"))
    following = F.explode(F.sequence("_next", "_until"))
    later = known.where(F.col("_next") <= F.col("_until")).withColumn(BRACKET, following)
    begin = F.lit(brackets.first) + F.col(BRACKET) * F.lit(brackets.width)
    return later.select(KEY, begin.cast("long").alias(FROM), *[F.col(f"_best.{name}") for name in names], BRACKET)
