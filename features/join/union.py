"""The strategy for many versions a key: one sort of both sides together, linear whatever the keys hold."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.choice import Choice
from features.join.cutting import cut
from features.join.matching import with_row
from features.join.names import ADDRESS, BRACKET, FROM, INSTANT, KEY, SERVED_ADDRESS, SERVED_BRACKET, TO, field


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
