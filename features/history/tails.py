"""Tails: the last values that each key had, of a day or a block of days; and the last that an impression could know."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, time
from functools import reduce
from zoneinfo import ZoneInfo

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.history import ALL
from camoe.contracts.sequences import SequenceFeature
from features.history.blocks import Block
from features.history.events import AT, KEY, KNOWN_DAY, SET, known_day, row_of, seen_from, within
from features.history.keys import MICROSECONDS, OWNER, Layout, key_column, value_column
from features.history.lookup import Asked, Hot, Known, Span, among, held
from features.history.scan import Newest, carried
from features.impressions.labels import settled_column
from features.spark.rows import held_rows

VALUE = "value"
# Here `SET` is the place of the sequence.
ELEMENT = (SET, KEY, AT, VALUE)


def elements(events: DataFrame, layout: Layout) -> DataFrame:
    """Return what each event adds to each sequence: `date`, `owner` and `ELEMENT`; `at`: from then on it is known."""
    parts = [part for place, item in enumerate(layout.sequences) for part in _element(place, item, layout)]
    stack = F.stack(F.lit(len(layout.sequences)), *parts).alias(*ELEMENT)
    return events.select("date", OWNER, stack).where(F.col(KEY).isNotNull() & F.col(VALUE).isNotNull())


def tails(elements: DataFrame, layout: Layout, zone: str) -> DataFrame:
    """Return the last `elements` by source day, known day and key, as many as a sequence holds, each with its owner."""
    return _last(elements.withColumn(KNOWN_DAY, known_day(zone)), layout)


def joined_tails(tails: DataFrame, blocks: Collection[Block], layout: Layout) -> DataFrame:
    """Return the last elements of `blocks` of one size from those of their days, or of smaller blocks."""
    return _last(within(tails, blocks), layout)


def sequences_before(shown: DataFrame, known: Known, layout: Layout, span: Span, asked: Asked) -> DataFrame:
    """Return `row`, `at`, and each sequence and its ages, of the impressions `shown` that have some."""
    nothing = {"row": F.lit(None).cast("bigint"), "since": F.lit(None).cast("bigint")}
    order = {"order": F.col(AT) * 2 + 1}
    pieces = [held(item.within or ALL, layout, span, known.blocks) for item in layout.sequences]
    before = known.states.where(
        reduce(Column.__or__, [(F.col(SET) == at) & among(one) for at, one in enumerate(pieces)])
    )
    columns = (SET, KEY, "order", VALUE, "row", "since")
    told = [part.withColumns({**order, **nothing}).select(*columns) for part in (known.additions, before)]
    probes = _probes(shown, layout, span).withColumns({"order": F.col(AT) * 2, VALUE: F.lit(None).cast("string")})
    lags = tuple(layout.lag_s_of(item) * MICROSECONDS for item in layout.sequences)
    newest = Newest(tuple(item.max_length for item in layout.sequences), lags, layout.history.delay_s * MICROSECONDS)
    cut = _cut(told[0].unionByName(told[1]), probes.select(*columns), layout, span, asked.hot)
    kinds = f"row bigint, {AT} bigint, {SET} tinyint, found array<string>, ages array<float>"
    found = cut.repartition(asked.tasks, KEY, "bucket").mapInArrow(newest, kinds)
    return found.groupBy("row", AT).agg(
        *[column for place, item in enumerate(layout.sequences) for column in _of(place, item)]
    )


def with_sequences(rows: DataFrame, layout: Layout) -> DataFrame:
    """Replace the sequences that are null, where the key had nothing before, by empty ones."""
    texts = {item.column: "array<string>" for item in layout.sequences}
    ages = {item.age_column: "array<float>" for item in layout.sequences if item.age_column}
    return rows.withColumns({name: F.coalesce(name, F.array().cast(kind)) for name, kind in {**texts, **ages}.items()})


def _element(place: int, item: SequenceFeature, layout: Layout) -> list[Column]:
    value = F.col(value_column(item))
    if item.objective is not None:
        value = F.when(F.col(settled_column(item.objective)) == 1, value)
    known = F.col(AT) + layout.lag_s_of(item) * MICROSECONDS
    return [F.lit(place).cast("tinyint"), F.col(key_column(item.key or "")), known, value]


def _last(rows: DataFrame, layout: Layout) -> DataFrame:
    """Return the last rows of each key, as many as its sequence holds; among those of one time by their value."""
    by = ("date", KNOWN_DAY, SET, KEY)
    newest = Window.partitionBy(*by).orderBy(F.col(AT).desc(), F.col(VALUE).desc(), OWNER)
    lengths = [item.max_length for item in layout.sequences]
    ranked = rows.select(*by, OWNER, AT, VALUE).withColumn("_rank", F.row_number().over(newest))
    # By the first limit Spark drops rows before they are shuffled.
    some = ranked.where(F.col("_rank") <= max(lengths))
    own = F.element_at(F.array(*map(F.lit, lengths)), F.col(SET) + 1)
    return some.where(F.col("_rank") <= own).drop("_rank")


def _cut(told: DataFrame, asking: DataFrame, layout: Layout, span: Span, hot: Hot) -> DataFrame:
    """Return both with `bucket`: the stretch of time of a hot key, each begun by the last elements before it."""
    if not hot.keys:
        return told.unionByName(asking).withColumn("bucket", F.lit(0).cast("bigint"))
    begin = datetime.combine(span.first, time(), ZoneInfo(span.zone)).timestamp()
    bucket = hot.bucket(int(begin) * MICROSECONDS * 2 // hot.width)
    cut = told.withColumn("bucket", bucket)
    longest = max(item.max_length for item in layout.sequences)
    newest = Window.partitionBy(SET, KEY, "bucket").orderBy(F.col("order").desc(), F.col(VALUE).desc())
    few = cut.where(hot.holds).withColumn("_rank", F.row_number().over(newest)).where(F.col("_rank") <= longest)
    rows = [tuple(row) for row in few.select(SET, KEY, "bucket", "order", VALUE).collect()]
    schema = f"{SET} tinyint, {KEY} bigint, bucket bigint, `order` bigint, {VALUE} string"
    before = held_rows(told.sparkSession, carried(rows, longest, hot.stretches), schema)
    nothing = {"row": F.lit(None).cast("bigint"), "since": F.lit(None).cast("bigint")}
    return cut.unionByName(asking.withColumn("bucket", bucket)).unionByName(before.withColumns(nothing))


def _probes(shown: DataFrame, layout: Layout, span: Span) -> DataFrame:
    at = seen_from(layout)
    parts = [
        part
        for place, item in enumerate(layout.sequences)
        for part in (F.lit(place).cast("tinyint"), F.col(key_column(item.key or "")), _since(item, at, layout, span))
    ]
    stack = F.stack(F.lit(len(layout.sequences)), *parts).alias(SET, KEY, "since")
    return shown.select(row_of().alias("row"), at.alias(AT), stack).where(F.col(KEY).isNotNull())


def _since(item: SequenceFeature, at: Column, layout: Layout, span: Span) -> Column:
    """Return the instant from which on an element must be known to be seen at `at`."""
    days = layout.history.days_of(item.within or ALL)
    first = F.date_sub(known_day(span.zone, at), days).cast("timestamp")
    return F.unix_micros(F.to_utc_timestamp(first, span.zone))


def _of(place: int, item: SequenceFeature) -> list[Column]:
    def own(name: str) -> Column:
        return F.first(F.when(F.col(SET) == place, F.col(name)), ignorenulls=True)

    ages = [own("ages").alias(item.age_column)] if item.age_column else []
    return [own("found").alias(item.column), *ages]
