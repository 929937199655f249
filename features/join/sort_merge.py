"""The strategy for few versions a key: impressions and intervals are sorted by (key, bracket) and merged."""

from __future__ import annotations

from pyspark.sql import DataFrame

from camoe.contracts.sources import Entity
from features.join.brackets import dealt
from features.join.choice import Choice
from features.join.cutting import cut_intervals
from features.join.matching import met, placed


def join_intervals(impressions: DataFrame, versions: DataFrame, name: str, entity: Entity, choice: Choice) -> DataFrame:
    """Compare each impression with all intervals of its (key, bracket)."""
    if "ts" in entity.columns:
        rows = cut_intervals(versions, entity, choice)
    else:
        rows = dealt(versions, choice.hot, choice.brackets)
    return met(placed(impressions, entity, choice), rows.hint("merge"), name, entity)
