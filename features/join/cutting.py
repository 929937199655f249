"""The intervals of a large table, shuffled by the address that its hot keys' brackets give them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.brackets import cut
from features.join.choice import Choice
from features.join.names import ADDRESS, TO
from features.join.versions import intervals, visible


def cut_intervals(versions: DataFrame, entity: Entity, choice: Choice) -> DataFrame:
    """Intervals with `_bracket` and `_address` that touch the time of the impressions.

    Shuffled by the address alone, which serves the windows here and a join by the address alike.
    """
    seen = versions if choice.within is None else visible(versions, entity, choice.within)
    rows = intervals(cut(seen, entity, choice.hot, choice.brackets).repartition(ADDRESS), entity)
    return rows if choice.within is None else rows.where(F.col(TO) > choice.within[0])
