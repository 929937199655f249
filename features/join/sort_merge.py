"""The strategy for few versions a key: impressions and intervals are sorted by (key, bracket) and merged."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.brackets import dealt, is_hot
from features.join.choice import Choice
from features.join.cutting import cut
from features.join.matching import met, placed
from features.join.names import INSTANT, SERVED_BRACKET


def join_intervals(impressions: DataFrame, versions: DataFrame, name: str, entity: Entity, choice: Choice) -> DataFrame:
    """Compare each impression with all intervals of its (key, bracket)."""
    split = cut if "ts" in entity.columns else _dealt_out
    served, rows = split(impressions, versions, entity, choice)
    return met(served, rows.hint("merge"), name, entity)


def _dealt_out(
    impressions: DataFrame, versions: DataFrame, entity: Entity, choice: Choice
) -> tuple[DataFrame, DataFrame]:
    """Both sides of an entity without ts: a hot key's impressions are dealt out to copies of its row by their id."""
    turn = F.pmod(F.xxhash64("impression_id"), F.lit(choice.brackets.count))
    bracket = F.when(is_hot(entity.key, choice.hot), turn).otherwise(F.lit(0).cast("long"))
    dealt_out = impressions.withColumns({INSTANT: turn, SERVED_BRACKET: bracket})
    return placed(dealt_out, entity), dealt(versions, choice.hot, choice.brackets)
