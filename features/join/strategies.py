"""The three ways to join an entity to impressions: broadcast, sort-merge of intervals, union.

`broadcast` is for small tables: their intervals go to every executor, and impressions are not shuffled. `intervals` is
for few versions a key: impressions and intervals are sorted by (key, bracket) and merged. `union` is for many versions
a key: one sort of both sides together, linear whatever the keys hold.
"""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.brackets import addressed, bracket_of, copied, dealt, is_hot, located, marks, uncut
from features.join.choice import Choice
from features.join.matching import met, placed, with_instant, with_row
from features.join.names import ADDRESS, BRACKET, FROM, INSTANT, KEY, SERVED_ADDRESS, SERVED_BRACKET, TO, field
from features.join.versions import intervals, visible


def join_intervals(impressions: DataFrame, versions: DataFrame, name: str, entity: Entity, choice: Choice) -> DataFrame:
    """Compare each impression with all intervals of its (key, bracket)."""
    split = cut if "ts" in entity.columns else _dealt_out
    served, rows = split(impressions, versions, entity, choice)
    return met(served, rows.hint("merge"), name, entity)


def _dealt_out(
    impressions: DataFrame, versions: DataFrame, entity: Entity, choice: Choice
) -> tuple[DataFrame, DataFrame]:
    """Return both sides for an entity without ts: a hot key's impressions are spread by id over copies of its row."""
    turn = F.pmod(F.xxhash64("impression_id"), F.lit(choice.brackets.count))
    bracket = F.when(is_hot(entity.key, choice.hot), turn).otherwise(F.lit(0).cast("long"))
    dealt_out = impressions.withColumns({INSTANT: turn, SERVED_BRACKET: bracket})
    return placed(dealt_out, entity), dealt(versions, choice.hot, choice.brackets)


def join_broadcast(impressions: DataFrame, versions: DataFrame, name: str, entity: Entity, choice: Choice) -> DataFrame:
    """Look each impression's (key, bracket) up in a table of intervals that is sent to every executor."""
    if "ts" in entity.columns:
        rows = copied(intervals(uncut(versions), entity).drop(ADDRESS, BRACKET), choice.brackets)
        timed = with_instant(impressions)
    else:
        rows = uncut(versions)
        timed = impressions.withColumn(INSTANT, F.lit(0).cast("long"))
    served = timed.withColumn(SERVED_BRACKET, bracket_of(F.col(INSTANT), choice.brackets))
    return met(placed(served, entity), F.broadcast(rows), name, entity)


def join_union(impressions: DataFrame, versions: DataFrame, name: str, entity: Entity, choice: Choice) -> DataFrame:
    """Give each impression the last interval of its (key, bracket) that begins no later, if it still holds.

    The interval travels as one struct, so that a row is joined whole.
    """
    timed, rows = cut(impressions, versions, entity, choice)
    fields = [field(column) for column in entity.columns]
    begun = rows.select(ADDRESS, KEY, BRACKET, F.col(FROM).alias(INSTANT), F.struct(TO, *fields).alias("_interval"))
    served = timed.select(
        F.col(SERVED_ADDRESS).alias(ADDRESS),
        F.col(entity.key).alias(KEY),
        F.col(SERVED_BRACKET).alias(BRACKET),
        INSTANT,
        F.struct(*impressions.columns).alias("_impression"),
    )
    # Nulls sort first: an impression comes after the interval that begins in its instant.
    order = Window.partitionBy(ADDRESS, KEY, BRACKET).orderBy(INSTANT, F.col("_impression").isNotNull())
    past = order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    newest = F.last("_interval", ignorenulls=True).over(past)
    events = begun.unionByName(served, allowMissingColumns=True).withColumn("_newest", newest)
    both = events.where(F.col("_impression").isNotNull()).select("_impression.*", INSTANT, "_newest.*")
    return with_row(both, F.col(INSTANT) < F.col(TO), name, entity)


def cut(impressions: DataFrame, versions: DataFrame, entity: Entity, choice: Choice) -> tuple[DataFrame, DataFrame]:
    """Return placed impressions, and the intervals that touch their time with `_bracket` and `_address`.

    The intervals are shuffled by the address alone, which serves the windows here and a join by the address alike.
    """
    seen = versions if choice.within is None else visible(versions, entity, choice.within)
    served = with_instant(impressions)
    if choice.hot:
        found = marks(seen, entity, choice)
        bracketed = located(seen, KEY, FROM, choice, found, into=BRACKET)
        own = addressed(bracketed.where(F.col(BRACKET).isNotNull()))
        timed = located(served, entity.key, INSTANT, choice, found, into=SERVED_BRACKET)
    else:
        own = uncut(seen)
        timed = served.withColumn(SERVED_BRACKET, F.lit(0).cast("long"))
    rows = intervals(own.repartition(ADDRESS), entity)
    touching = rows if choice.within is None else rows.where(F.col(TO) > choice.within[0])
    return placed(timed, entity), touching
