"""Brackets of time: a key's rows cut into stretches that are joined separately, each complete in itself.

Brackets of hot keys begin at versions that win, so that a bracket needs nothing from before it. Time is cut into cells
of one width. In each cell of a key the first version that is greater than all before it is a mark, and the key's
bracket goes from one mark to the next.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.choice import Brackets, Choice, Key
from features.join.names import ADDRESS, BRACKET, FROM, KEY, TO, address, key_hash
from features.join.versions import rank

MARKED = "_marked_key"
CELL = "_cell"
BEGIN = "_begin"
HERE = "_here"
BEFORE = "_before"


def bracket_of(instant: Column, brackets: Brackets) -> Column:
    """Return the bracket of a microsecond: 0 to count - 1, -1 before the first, count after the last; null for null."""
    if brackets.count == 1:
        return F.when(instant.isNotNull(), F.lit(0).cast("long"))
    inside = F.call_function("div", instant - F.lit(brackets.first), F.lit(brackets.width))
    outside = F.when(instant < brackets.first, F.lit(-1)).when(instant >= brackets.end, F.lit(brackets.count))
    return outside.otherwise(inside).cast("long")


def is_hot(key: str, hot: Sequence[Key]) -> Column:
    """Return whether a row's key is one that is cut. `hot` are hashes; to cut a key that shares one does no harm."""
    return key_hash(F.col(key)).isin(list(hot)) if hot else F.lit(False)


def uncut(rows: DataFrame) -> DataFrame:
    """Add `_bracket` 0 and `_address` to versions."""
    return addressed(rows.withColumn(BRACKET, F.lit(0).cast("long")))


def addressed(rows: DataFrame) -> DataFrame:
    """Add to versions or intervals the `_address` of their key and bracket."""
    return rows.withColumn(ADDRESS, address(F.col(KEY), F.col(BRACKET)))


def copied(intervals: DataFrame, brackets: Brackets) -> DataFrame:
    """Copy each interval into every bracket that it touches: at most one row more a key and bracket."""
    first, last = bracket_of(F.col(FROM), brackets), bracket_of(F.col(TO) - 1, brackets)
    return addressed(intervals.withColumn(BRACKET, F.explode(F.sequence(first, last))))


def dealt(rows: DataFrame, hot: Sequence[Key], brackets: Brackets) -> DataFrame:
    """Copy rows without ts: those of hot keys into every bracket, the others into bracket 0 alone."""
    every = F.sequence(F.lit(0).cast("long"), F.lit(brackets.count - 1).cast("long"))
    first = F.array(F.lit(0).cast("long"))
    spread = F.explode(F.when(is_hot(KEY, hot), every).otherwise(first))
    return addressed(rows.withColumn(BRACKET, spread))


def marks(versions: DataFrame, entity: Entity, choice: Choice) -> DataFrame:
    """Return one row a (hot key, cell) at or after the key's first mark, with the brackets of the cell's rows.

    A row at `_begin` or later belongs to the bracket `_here`, an earlier one to `_before`, which is null before the
    key's first mark: no impression can see a version from then. A bracket has the number of the cell of its mark. The
    time before the first impression is one cell, marked at the last version that wins there: only that may be joined.
    """
    brackets = choice.brackets
    timed = versions.where(is_hot(KEY, choice.hot)).withColumn(CELL, bracket_of(F.col(FROM), brackets))
    begin = F.when(F.col(CELL) < 0, F.max(FROM)).otherwise(F.min(FROM))
    winners = _winners(timed.where(F.col(CELL) < brackets.count), entity)
    marked = winners.groupBy(KEY, CELL).agg(begin.alias(BEGIN))
    timeline = Window.partitionBy(KEY).orderBy(CELL)
    until = F.coalesce(F.lead(CELL).over(timeline), F.lit(brackets.count)) - 1
    known = marked.select(
        KEY, BEGIN, F.col(CELL).alias(HERE), F.lag(CELL).over(timeline).alias(BEFORE), until.alias("_until")
    )
    cells = known.withColumn(CELL, F.explode(F.sequence(HERE, "_until")))
    return cells.select(F.col(KEY).alias(MARKED), CELL, BEGIN, HERE, BEFORE)


def _winners(timed: DataFrame, entity: Entity) -> DataFrame:
    """Return the versions that are the greatest of all that begin no later; without available_at, all of them."""
    if "available_at" not in entity.columns:
        return timed
    ranked = F.struct(*rank(entity))
    # Of each version only its times and ties are read here, so a key's versions may meet in one task.
    past = Window.partitionBy(KEY).orderBy(FROM, ranked).rowsBetween(Window.unboundedPreceding, Window.currentRow)
    return timed.withColumn("_best", F.max(ranked).over(past)).where(ranked.eqNullSafe(F.col("_best")))


def located(rows: DataFrame, key: str, instant: str, choice: Choice, found: DataFrame, *, into: str) -> DataFrame:
    """Add the column `into`, each row's bracket: 0 unless its key is hot, null without a mark in `found`."""
    hot = is_hot(key, choice.hot)
    cell = bracket_of(F.col(instant), choice.brackets)
    same = (F.when(hot, F.col(key)) == F.col(MARKED)) & (cell == F.col(CELL))
    own = F.when(F.col(instant) >= F.col(BEGIN), F.col(HERE)).otherwise(F.col(BEFORE))
    both = rows.join(F.broadcast(found), on=same, how="left")
    return both.withColumn(into, F.when(hot, own).otherwise(F.lit(0).cast("long"))).drop(*found.columns)
