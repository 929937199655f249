"""Events: what each impression adds to the counts of its keys, and from when on; and their sums by day."""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.history import IMPRESSION
from features.history.blocks import Block
from features.history.keys import MICROSECONDS, OWNER, Layout, key_column, value_column
from features.impressions.checks import INVALID_LABEL, REASONS
from features.impressions.duplicates import DUPLICATE
from features.impressions.exclusions import EXCLUDED
from features.impressions.labels import settled_column

# The day on which what a row tells became known, in the declared zone.
KNOWN_DAY = "known_day"
SET, KEY, AT = "key_set", "key", "at"


def counts_in_history(reasons: str = REASONS) -> Column:
    """Return whether a judged impression counts: kept, or refused only for an outcome that nobody can make sense of.

    Whether such an outcome is known depends on the as-of time, on which no count may rest.
    """
    own_faults = F.array_remove(reasons, INVALID_LABEL)
    return F.col(EXCLUDED).isNull() & ~F.col(DUPLICATE) & (F.size(own_faults) == 0)


def events(keyed: DataFrame, layout: Layout) -> DataFrame:
    """Return what is kept of the impressions: `date`, `at` (microseconds), `owner`, the keys, the settled labels.

    `keyed` has their `ts`, `user_id`, `date`, the key sets' columns, the settled labels and the sequences' values.
    """
    return keyed.select(
        "date",
        F.unix_micros("ts").alias(AT),
        F.xxhash64(F.col("user_id").cast("string")).alias(OWNER),
        *[key_column(name) for name in layout.key_sets],
        *[
            F.col(settled_column(name)).cast("tinyint").alias(settled_column(name))
            for name in layout.history.objectives
        ],
        *[value_column(item) for item in layout.sequences],
    )


def additions(events: DataFrame, layout: Layout) -> DataFrame:
    """Return what each event adds to each key and from when on.

    Columns: `date`, `owner`, `key_set`, `key`, `at` (microseconds, from which on it is known), counts and times.
    """
    by_lag: dict[int, list[str]] = {}
    for stream, lag in layout.lags_s.items():
        by_lag.setdefault(lag, []).append(stream)
    parts = []
    for lag, streams in by_lag.items():
        known = F.col(AT) + lag * MICROSECONDS
        parts.append(events.select("date", OWNER, known.alias("_known"), *_added(streams, layout), _stacked(layout)))
    both = reduce(DataFrame.unionByName, parts).where(F.col(KEY).isNotNull())
    return both.withColumnRenamed("_known", AT)


def probes(keyed: DataFrame, layout: Layout) -> DataFrame:
    """Return `key_set`, `key`, `at` (just before which is looked) and `row` (a hash of the id) of impressions."""
    return keyed.select(row_of().alias("row"), seen_from(layout).alias(AT), _stacked(layout)).where(
        F.col(KEY).isNotNull()
    )


def seen_from(layout: Layout) -> Column:
    """Return the instant (microseconds) before which an impression of the time `ts` knows what was known."""
    return F.unix_micros("ts") - layout.history.delay_s * MICROSECONDS


def row_of() -> Column:
    """Return a number for the impression; with `at`, no two impressions of a run share it."""
    return F.xxhash64(F.col("impression_id").cast("string"))


def known_day(zone: str, at: str | Column = AT) -> Column:
    """Return the day in `zone` of an instant in microseconds."""
    return F.from_utc_timestamp(F.timestamp_micros(at), zone).cast("date")


def states(additions: DataFrame, layout: Layout, zone: str, owned: tuple[str, ...]) -> DataFrame:
    """Sum `additions` by source day, known day and key: integers that add up over days, and the last times."""
    places = [place for place, name in enumerate(layout.key_sets) if name in owned]
    owner = F.when(F.col(SET).isin(places), F.col(OWNER)) if places else F.lit(None).cast("bigint")
    return _summed(additions.withColumns({OWNER: owner, KNOWN_DAY: known_day(zone)}), layout)


def added_up(states: DataFrame, blocks: Collection[Block], layout: Layout) -> DataFrame:
    """Sum states of days, or of smaller blocks, to those of `blocks` of one size."""
    return _summed(within(states, blocks), layout)


def within(states: DataFrame, blocks: Collection[Block]) -> DataFrame:
    """Return the rows that lie in `blocks`, all of one size, with the block's first day as `date` and known day."""
    (size,) = {block.days for block in blocks}
    first = F.date_sub(KNOWN_DAY, F.pmod(F.unix_date(KNOWN_DAY), F.lit(size)))
    mine = states.where(first.isin([block.first for block in blocks]))
    return mine.withColumns({"date": first, KNOWN_DAY: first})


def _summed(rows: DataFrame, layout: Layout) -> DataFrame:
    return rows.groupBy("date", KNOWN_DAY, OWNER, SET, KEY).agg(*sums(layout))


def sums(layout: Layout) -> list[Column]:
    """Return the aggregates by which additions and states add up."""
    return [
        *[F.sum(name).alias(name) for name in layout.counts],
        *[F.max(name).alias(name) for name in layout.times],
    ]


def _stacked(layout: Layout) -> Column:
    pairs = [
        item
        for place, name in enumerate(layout.key_sets)
        for item in (F.lit(place).cast("tinyint"), F.col(key_column(name)))
    ]
    return F.stack(F.lit(len(layout.key_sets)), *pairs).alias(SET, KEY)


def _added(streams: list[str], layout: Layout) -> list[Column]:
    nothing, never = F.lit(0), F.lit(None).cast("bigint")
    made = dict.fromkeys(layout.counts, nothing) | dict.fromkeys(layout.times, never)
    for stream in streams:
        if stream == IMPRESSION:
            made |= {f"n_{stream}": F.lit(1), f"t_{stream}": F.col(AT)}
        else:
            label = F.col(settled_column(stream))
            made[f"n_{stream}"] = label.isNotNull().cast("int")
            made[f"p_{stream}"] = F.coalesce(label, nothing).cast("int")
            made[f"t_{stream}"] = F.when(label == 1, F.col(AT))
    return [column.cast("bigint").alias(name) for name, column in made.items()]
