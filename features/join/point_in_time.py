"""Point-in-time join of one entity to impressions, and the choice of its strategy."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial

from pyspark import inheritable_thread_target
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.join.brackets import bracket_of, is_hot
from features.join.choice import Choice, Limits, Statistics, choose, fits_broadcast, settle
from features.join.names import BRACKET, FROM, KEY
from features.join.statistics import bounds, densest, measure_served, measure_table, seems_large
from features.join.strategies import join_broadcast, join_intervals, join_union
from features.join.versions import joinable, versions, with_key

STRATEGIES = {"broadcast": join_broadcast, "intervals": join_intervals, "union": join_union}


def join_entity(impressions: DataFrame, rows: DataFrame, name: str, entity: Entity, choice: Choice) -> DataFrame:
    """Add the struct column `name`: the entity's mapped columns and `age_s`; null without a match. Rows out = rows in.

    The row joined is the greatest by (ts, then `ties`, then its other columns) among those whose ts and available_at
    are both past at the impression's ts, unless its ts is more than `lookback_s` seconds older. A row with a null ts
    or available_at is never joined; an impression with a null key or ts gets none. Without ts, the key's one row,
    with null `age_s`. The answer is the same whatever the `choice`, which `decide` makes for these very impressions.
    """
    keyed = versions(with_key(rows, name, entity, impressions), entity).where(joinable())
    joined = STRATEGIES[choice.strategy](impressions, keyed, name, entity, choice)
    return joined.select(*impressions.columns, name)


def decide(
    impressions: DataFrame, rows: DataFrame, name: str, entity: Entity, days: Sequence[date], *, limits: Limits
) -> Choice:
    """Count what the choice needs, and choose. `days` are those of the impressions; they tune the choice only.

    A small table is settled by its own counts; for others the impressions are counted too.
    """
    found = versions(with_key(rows, name, entity, impressions), entity)
    statistics = _counted(impressions, found, entity, bounds(days), limits)
    choice = choose(name, statistics, entity, limits)
    if not choice.hot or "ts" not in entity.columns:
        return choice
    cut = found.where(joinable() & is_hot(KEY, choice.hot))
    bracketed = cut.withColumn(BRACKET, bracket_of(F.col(FROM), choice.brackets))
    inside = F.col(BRACKET).between(0, choice.brackets.count - 1)
    return settle(choice, densest(bracketed.where(inside)), entity, limits)


def _counted(
    impressions: DataFrame, found: DataFrame, entity: Entity, within: tuple[int, int], limits: Limits
) -> Statistics:
    """Count the table and, unless it is sent to every executor, the impressions.

    Where the table is large on disk both are counted at once: each job uses the cores that the other leaves idle while
    it is planned and while its last tasks run.
    """
    count_table = partial(measure_table, found, entity, within, limits)
    count_served = inheritable_thread_target(impressions.sparkSession)(
        partial(measure_served, impressions, entity, limits)
    )
    with ThreadPoolExecutor(1) as aside:
        early = aside.submit(count_served) if seems_large(found, limits) else None
        small = Statistics(count_table(), *within)
        if entity.strategy == "broadcast" or (entity.strategy == "auto" and fits_broadcast(small, limits)):
            return small
        served = count_served() if early is None else early.result()
    asked = served.heavy.keys() - small.table.heavy.keys()
    table = count_table(served.heavy) if asked else small.table
    return Statistics(table, *within, served)
