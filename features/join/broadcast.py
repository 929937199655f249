"""The strategy for small tables: their intervals go to every executor, and impressions are not shuffled."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.brackets import copied, uncut
from features.join.choice import Choice
from features.join.matching import met, placed
from features.join.names import ADDRESS, BRACKET
from features.join.versions import intervals


def join_broadcast(impressions: DataFrame, versions: DataFrame, name: str, entity: Entity, choice: Choice) -> DataFrame:
    """Look each impression's (key, bracket) up in a table of intervals that is sent to every executor."""
    rows = uncut(versions)
    if "ts" in entity.columns:
        rows = copied(intervals(rows, entity).drop(ADDRESS, BRACKET), choice.brackets)
    return met(placed(impressions, entity, choice), F.broadcast(rows), name, entity)
