"""The strategy for small tables: their intervals go to every executor, and impressions are not shuffled."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.brackets import bracket_of, copied, uncut
from features.join.choice import Choice
from features.join.matching import met, placed, with_instant
from features.join.names import ADDRESS, BRACKET, INSTANT, SERVED_BRACKET
from features.join.versions import intervals


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
