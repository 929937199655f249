"""Hashes of each entity table's rows, by the day on which they became known, for later runs to compare."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.runs import TIMELESS, EntityState
from camoe.contracts.sources import Entity, Sources
from features.spark.values import comparable, digest, hash_sums, in_calendar, row_hash

NONE_LEFT_OUT: Mapping[str, date] = {}


def entity_states(
    tables: Mapping[str, DataFrame],
    sources: Sources,
    zone: str,
    days: Collection[date],
    since: Mapping[str, date] = NONE_LEFT_OUT,
) -> dict[str, EntityState]:
    """Return hashes of the mapped rows of each entity by the local day on which they became known, in one Spark job.

    That is the day of the later of `ts` and `available_at`; rows that lack one are never joined and left out. All rows
    of an entity without `ts` come under `TIMELESS`. `days` are those that joins may look back from. `since` is by
    entity the first of the days whose rows are looked at, where that are not all.
    """
    if not tables:
        return {}
    parts = [_hashed(tables[name], name, sources.entities[name], zone, since.get(name)) for name in tables]
    found: dict[str, dict[date, str]] = {name: {} for name in tables}
    for row in reduce(DataFrame.unionByName, parts).groupBy("entity", "day").agg(*hash_sums()).collect():
        # Spark takes no literal of the year 1, so there the timeless rows have no day.
        found[row["entity"]][row["day"] or TIMELESS] = digest(row["rows"], row["upper"], row["lower"])
    return {
        name: EntityState(
            fingerprints=dict(sorted(prints.items())),
            reach_days=reach_days(sources.entities[name], zone, days),
            since=since.get(name),
        )
        for name, prints in found.items()
    }


def reaching(
    states: Mapping[str, EntityState], sources: Sources, zone: str, days: Collection[date]
) -> dict[str, EntityState]:
    """Return the same `states` for joins that look back from `days`."""
    return {
        name: state.model_copy(update={"reach_days": reach_days(sources.entities[name], zone, days)})
        for name, state in states.items()
    }


def reach_days(entity: Entity, zone: str, days: Collection[date]) -> int | None:
    """Return how many days before one of `days` a joined version can lie, at most; None without a limit."""
    if entity.lookback_s is None or "ts" not in entity.columns:
        return None
    local, back = ZoneInfo(zone), timedelta(seconds=entity.lookback_s)
    # In UTC: in the zone itself the difference would count wall-clock hours.
    begins = {day: datetime.combine(day, time(), local).astimezone(UTC) for day in days}
    return max(((day - (begin - back).astimezone(local).date()).days for day, begin in begins.items()), default=0)


def known_since(sources: Sources, zone: str, days: Collection[date]) -> dict[str, date]:
    """Return, by entity with a lookback, the first day on which a row can have become known that matters to `days`.

    To none of `days`, and to no day after the first of them, does a row matter that became known before it.
    """
    reach = {name: reach_days(entity, zone, days) for name, entity in sources.entities.items()}
    return {name: min(days) - timedelta(days=back) for name, back in reach.items() if back is not None}


def _hashed(rows: DataFrame, name: str, entity: Entity, zone: str, since: date | None) -> DataFrame:
    day = F.lit(None).cast("date")
    times = [column for column in ("ts", "available_at") if column in entity.columns and "ts" in entity.columns]
    if times:
        moments = {column: F.col(column).try_cast("timestamp") for column in times}
        known = F.greatest(*moments.values()) if len(moments) > 1 else moments["ts"]
        rows = rows.where(reduce(Column.__and__, [moment.isNotNull() for moment in moments.values()]))
        day = F.from_utc_timestamp(in_calendar(known), zone).cast("date")
        rows = rows if since is None else rows.where(day >= F.lit(since))
    plain = rows.withColumns(
        {column: comparable(F.col(column), rows.schema[column].dataType) for column in entity.columns}
    )
    return plain.select(F.lit(name).alias("entity"), day.alias("day"), row_hash(list(entity.columns)).alias("hash"))
