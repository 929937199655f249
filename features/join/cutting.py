"""Both sides of the join of a large table, each row with the bracket in which it meets the other side."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.brackets import addressed, uncut
from features.join.choice import Choice
from features.join.marks import located, marks
from features.join.matching import placed, with_instant
from features.join.names import ADDRESS, BRACKET, FROM, INSTANT, KEY, SERVED_BRACKET, TO
from features.join.versions import intervals, visible


def cut(impressions: DataFrame, versions: DataFrame, entity: Entity, choice: Choice) -> tuple[DataFrame, DataFrame]:
    """Placed impressions, and the intervals that touch their time with `_bracket` and `_address`.

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
