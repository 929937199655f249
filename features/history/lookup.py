"""What each impression could know: the states of the days before, and the events since, summed up to its moment."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.days import days_between
from camoe.contracts.history import ALL
from features.history.blocks import Block, cover
from features.history.events import AT, KEY, KNOWN_DAY, SET, probes, sums
from features.history.keys import MICROSECONDS, Layout
from features.history.scan import NOTHING, Scan, Wide, prefixes
from features.read.window import DayWindow
from features.spark.rows import held_rows

# Rows of one task: about 150 MB of arrays.
ROWS_A_TASK = 1_000_000
# A key of more rows is cut into stretches of time, which several tasks take.
HOT_SHARE = 4
# Keys that each task can hold to pass over what is known of others: about 50 MB.
KEYS_TO_SEND = 1_000_000
NUMBERS = "_numbers"
# Days that a row of the states holds.
DAYS = "days"


@dataclass(frozen=True)
class Span:
    """Days in `zone` on which the impressions of a run look into the history, which reaches from each into the past."""

    zone: str
    first: date
    last: date

    @classmethod
    def of(cls, window: DayWindow, delay_s: int) -> Span:
        """Return the span of impressions on the days of `window`, who look `delay_s` seconds back."""
        begin = window.begins(min(window.days)) - timedelta(seconds=delay_s)
        return cls(window.zone, begin.astimezone(ZoneInfo(window.zone)).date(), max(window.days))


@dataclass(frozen=True)
class Known:
    """The `additions` that became known on the days of a span, and the `states` of those days and of what was before.

    `states` have `DAYS`: those of single days are known on `KNOWN_DAY`, those of `blocks` from then on. Keys that no
    impression asks for may be left out.
    """

    additions: DataFrame
    states: DataFrame
    blocks: Collection[Block] = ()


@dataclass(frozen=True)
class Hot:
    """Keys of so many rows that each is cut into stretches of `width` (in units of `order`), which tasks share."""

    keys: tuple[int, ...]
    width: int
    stretches: int

    @property
    def holds(self) -> Column:
        """Condition that a row is that of one of the keys."""
        return F.col(KEY).isin(list(self.keys))

    def bucket(self, first: int = 0) -> Column:
        """Return the stretch of a row by its `order`, those before the `first` in that one; 0 for other keys."""
        stretch = F.greatest(F.expr(f"`order` div {self.width}L"), F.lit(first).cast("bigint"))
        return F.when(self.holds, stretch).otherwise(F.lit(0).cast("bigint"))


@dataclass(frozen=True)
class Asked:
    """What the impressions of a run ask: the `keys` that they have, and how many `tasks` share the rows."""

    keys: DataFrame
    tasks: int
    hot: Hot


def needed(layout: Layout, span: Span, have: Collection[Block]) -> set[Block]:
    """Return the days and blocks, of those that are there (`have`), whose states `lookup` reads."""
    found = {Block(day) for day in days_between(span.first, span.last)}
    # Last times are those within the horizon, whatever the windows.
    windows = {ALL, *layout.history.windows, *(item.within or ALL for item in layout.sequences)}
    for name in windows:
        found |= {*held(name, layout, span, have), *map(Block, _leaving(name, layout, span))}
    return found


def asked_of(
    states: DataFrame, layout: Layout, span: Span, rows_a_task: int = ROWS_A_TASK, asking: DataFrame | None = None
) -> Asked:
    """Return what impressions of `span` ask: each is among the events of its own day, so their keys are in `states`.

    The keys of `asking`, which are no impressions, are counted beside them.
    """
    recent = states.where((F.col(DAYS) == 1) & (F.col(KNOWN_DAY) >= F.lit(span.first)))
    recent = recent.select(SET, KEY, "n_impression")
    if asking is not None:
        recent = recent.unionByName(
            probes(asking, layout).select(SET, KEY, F.lit(1).cast("bigint").alias("n_impression"))
        )
    sizes = recent.groupBy(SET, KEY).agg(F.sum("n_impression").alias("n"))
    # Each impression is one row that asks, and one a stream of its own time that tells.
    each = 1 + len(set(layout.lags_s.values()))
    limit = rows_a_task // (HOT_SHARE * each)
    large = F.when(F.col("n") > limit, F.struct("n", KEY))
    counted = (F.sum("n").alias("rows"), F.collect_list(large).alias("large"), F.count(F.lit(1)).alias("keys"))
    found = sizes.agg(*counted).collect()[0]
    tasks = max(recent.sparkSession.sparkContext.defaultParallelism, -(-(found["rows"] or 0) * each // rows_a_task))
    stretches = -(-max((row["n"] for row in found["large"]), default=0) // limit)
    days = (span.last - span.first).days + 2
    width = 2 * MICROSECONDS * 86400 * days // max(stretches, 1)
    hot = Hot(tuple(row[KEY] for row in found["large"]), width, stretches)
    keys = recent.select(KEY).distinct()
    return Asked(F.broadcast(keys) if found["keys"] <= KEYS_TO_SEND else keys, tasks, hot)


def lookup(probes: DataFrame, known: Known, layout: Layout, span: Span, asked: Asked) -> DataFrame:
    """Return `row`, `at` and `_numbers` of the impressions that have `probes`: each key set's counts and times."""
    added = _deltas(known.additions, layout, F.col(AT) * 2 + 1, F.lit(2 ** len(layout.history.windows) - 1))
    before = _base(known.states, known.blocks, layout, span)
    told = added.unionByName(before).unionByName(_gone(known.states, layout, span))
    zeros = {name: F.lit(0).cast("bigint") for name in layout.counts}
    nevers = {name: F.lit(None).cast("bigint") for name in layout.times}
    asking = _rows(probes.withColumns({**zeros, **nevers}), layout, F.col(AT) * 2, F.lit(0), F.col("row"))
    scan = Scan(layout.counts, layout.times, len(layout.history.windows))
    running = _cut(told, asking, layout, asked.hot).repartition(asked.tasks, KEY, "bucket")
    found = running.mapInArrow(scan, f"row bigint, {AT} bigint, {SET} tinyint, numbers array<bigint>")
    wide = Wide(len(layout.history.keys), layout.width)
    made = found.repartition(asked.tasks, "row").mapInArrow(wide, f"row bigint, {AT} bigint, numbers array<bigint>")
    return made.withColumnRenamed("numbers", NUMBERS)


def held(window: str, layout: Layout, span: Span, have: Collection[Block]) -> list[Block]:
    """Return the days and blocks that a window holds when `span` begins."""
    first = span.first - timedelta(days=layout.history.days_of(window))
    return cover(max(first, layout.history.since), span.first - timedelta(days=1), have)


def _leaving(window: str, layout: Layout, span: Span) -> tuple[date, ...]:
    """Return the days that leave the window at the midnights within `span`."""
    days = layout.history.days_of(window)
    first = max(span.first - timedelta(days=days), layout.history.since)
    return days_between(first, span.last - timedelta(days=days + 1))


def _base(states: DataFrame, have: Collection[Block], layout: Layout, span: Span) -> DataFrame:
    """Return what each window holds when `span` begins, and the last times within the horizon."""
    reached = among(held(ALL, layout, span, have))
    counts = [
        F.sum(F.when(among(held(name, layout, span, have)), F.col(count)).otherwise(0)).alias(f"{count}_{place}")
        for place, name in enumerate(layout.history.windows)
        for count in layout.counts
    ]
    base = (
        states.where(reached)
        .groupBy(KEY)
        .agg(F.first(SET).alias(SET), *counts, *[F.max(name).alias(name) for name in layout.times])
    )
    rows = [
        (F.lit(1 << place), *[F.col(f"{count}_{place}") for count in layout.counts])
        for place in range(len(layout.history.windows))
    ]
    stack = F.stack(F.lit(len(rows)), *[column for row in rows for column in row]).alias("mask", *layout.counts)
    return _deltas(
        base.select(SET, KEY, stack, *layout.times), layout, _midnight(F.lit(span.first), span), F.col("mask")
    )


def _gone(states: DataFrame, layout: Layout, span: Span) -> DataFrame:
    """Return what leaves each window at each midnight within `span`."""
    ways = []
    for place, name in enumerate(layout.history.windows):
        leaves = (F.col(DAYS) == 1) & F.col(KNOWN_DAY).isin(list(_leaving(name, layout, span)))
        away = F.date_add(KNOWN_DAY, layout.history.days_of(name) + 1)
        ways += [F.lit(1 << place), F.when(leaves, away)]
    stack = F.stack(F.lit(len(layout.history.windows)), *ways).alias("mask", "away")
    minus = [(-F.col(name)).alias(name) for name in layout.counts]
    never = [F.lit(None).cast("bigint").alias(name) for name in layout.times]
    rows = states.select(SET, KEY, stack, *minus, *never).where(F.col("away").isNotNull())
    return _deltas(rows, layout, _midnight(F.col("away"), span), F.col("mask"))


def among(blocks: Collection[Block]) -> Column:
    """Return whether a row of the states is that of one of `blocks`."""
    if not blocks:
        return F.lit(False)
    firsts: dict[int, list[date]] = {}
    for block in blocks:
        firsts.setdefault(block.days, []).append(block.first)
    held = [(F.col(DAYS) == size) & F.col(KNOWN_DAY).isin(some) for size, some in firsts.items()]
    return reduce(Column.__or__, held)


def _midnight(day: Column, span: Span) -> Column:
    return F.unix_micros(F.to_utc_timestamp(day.cast("timestamp"), span.zone)) * 2 - 1


def _deltas(rows: DataFrame, layout: Layout, order: Column, mask: Column) -> DataFrame:
    return _rows(rows, layout, order, mask, F.lit(None).cast("bigint"))


def _rows(rows: DataFrame, layout: Layout, order: Column, mask: Column, row: Column) -> DataFrame:
    told = [order.alias("order"), mask.alias("mask"), row.alias("row")]
    return rows.select(SET, KEY, *told, *layout.counts, *layout.times)


def _cut(told: DataFrame, asked: DataFrame, layout: Layout, hot: Hot) -> DataFrame:
    """Return both with `bucket`: the stretch of time of a hot key, each begun by the sums of those before it."""
    if not hot.keys:
        return told.unionByName(asked).withColumn("bucket", F.lit(0).cast("bigint"))
    cut = told.withColumn("bucket", hot.bucket())
    small = cut.where(hot.holds).groupBy(SET, KEY, "mask", "bucket").agg(*sums(layout))
    rows = [tuple(NOTHING if value is None else value for value in row) for row in small.collect()]
    last = max(row[3] for row in rows) + hot.stretches
    numbers = dict.fromkeys((*layout.counts, *layout.times), "bigint")
    kinds = {SET: "tinyint", KEY: "bigint", "mask": "int", "bucket": "bigint", **numbers}
    schema = ", ".join(f"`{name}` {kind}" for name, kind in kinds.items())
    before = held_rows(told.sparkSession, prefixes(rows, len(layout.counts), last), schema)
    ready = before.withColumns({"order": F.col("bucket") * hot.width - 1, "row": F.lit(None).cast("bigint")})
    return cut.unionByName(asked.withColumn("bucket", hot.bucket())).unionByName(ready)
