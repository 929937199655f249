"""What an impression could know, held against a search of all impressions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest
from pyspark.sql import functions as F

from camoe.contracts.history import History
from camoe.contracts.sequences import SequenceFeature
from camoe.contracts.sources import Objective
from features.history.blocks import Block, days_between, holding, whole_blocks
from features.history.events import AT, KNOWN_DAY, events, known_day, probes, row_of
from features.history.keys import Layout, key_columns, owned_keys, value_columns
from features.history.kinds import STATES, TAILS
from features.history.lookup import DAYS as DAYS_HELD
from features.history.lookup import NUMBERS, Known, Span, asked_of, lookup, needed
from features.history.tails import sequences_before, with_sequences
from features.impressions.labels import settled_column
from features.read.window import DayWindow
from features.spark.rows import held_rows
from tests.features.history import oracle

# Clocks change on 29 March 2026 in Stockholm: that day has 23 hours.
ZONE = "Europe/Stockholm"
DAYS = tuple(date(2026, 3, 24) + timedelta(days=step) for step in range(9))
KEYS = {"all": [], "slot": ["slot"], "user": ["user_id"], "user_slot": ["user_id", "slot"]}
OBJECTIVES = {
    "click": Objective(window_s=1800, report_s=1800),
    "buy": Objective(window_s=3 * 86400),
    "like": Objective(),
}


# Rows of one time have different slots; some have none.
SEQUENCES = (
    {"name": "seen", "sql": "slot", "key": "user", "max_length": 3, "age": True},
    {"name": "clicked", "sql": "slot", "key": "user", "objective": "click", "within": "2d", "max_length": 40},
    {"name": "bought", "sql": "user_id", "key": "slot", "objective": "buy", "max_length": 2, "age": True},
)


def declared(**more):
    return History.model_validate(
        {"since": DAYS[0], "objectives": list(OBJECTIVES), "windows": ["all", "2d"], "keys": KEYS, **more}
    )


def keyed(spark, rows, history):
    """The impressions as the build has them when their history is looked up."""
    kinds = "impression_id string, user_id string, slot string, at bigint, labels array<tinyint>"
    frame = held_rows(spark, [tuple(row) for row in rows], kinds)
    settled = {settled_column(name): F.get("labels", F.lit(place)) for place, name in enumerate(history.objectives)}
    timed = frame.withColumns({"ts": F.timestamp_micros("at"), "date": known_day(ZONE, "at"), **settled})
    return timed.withColumns({**key_columns(frame, history), **value_columns(frame, sequences())})


def sequences():
    return tuple(SequenceFeature.model_validate(item) for item in SEQUENCES)


def with_blocks(summed, layout, days, kind):
    """The states of the days and, where all of their `days` are there, those of blocks; and these."""
    states, blocks, part = summed.withColumn(DAYS_HELD, F.lit(1)), [], summed
    for size in (8, 64):
        made = whole_blocks(days, size, layout)
        if made:
            part = kind.joined(part, made, layout)
            states, blocks = states.unionByName(part.withColumn(DAYS_HELD, F.lit(size))), [*blocks, *made]
    return states, blocks


def known(kind, frame, layout, span):
    """What is known of `kind`: in blocks where there are whole ones, and only what a look-up says that it reads."""
    history = layout.history
    added = kind.added(events(frame, layout), layout)
    summed = kind.held(added, layout, ZONE, owned_keys(frame, history))
    recent = added.where(known_day(ZONE) >= F.lit(span.first))
    held, blocks = with_blocks(summed, layout, days_between(history.since, span.first - timedelta(days=1)), kind)
    pieces = [(block.first, block.days) for block in needed(layout, span, blocks)]
    read = held_rows(frame.sparkSession, pieces, f"{KNOWN_DAY} date, {DAYS_HELD} int")
    return Known(recent, held.join(read, on=[KNOWN_DAY, DAYS_HELD]), blocks)


def looked_up(spark, rows, layout, days, rows_a_task):
    """What each impression of `days` knows: numbers, then each sequence and its ages."""
    history = layout.history
    frame = keyed(spark, rows, history)
    window = DayWindow(ZONE, days, datetime(2026, 5, 1, tzinfo=UTC))
    span = Span.of(window, history.delay_s)
    asked = frame.where(F.col("date").isin(list(days)))
    states, tails = (known(kind, frame, layout, span) for kind in (STATES, TAILS))
    size = asked_of(states.states, layout, span, rows_a_task)
    found = lookup(probes(asked, layout), states, layout, span, size)
    lists = sequences_before(asked, tails, layout, span, size)
    there = asked.withColumns({"row": row_of(), AT: F.unix_micros("ts") - history.delay_s * 1_000_000})
    joined = there.join(found, on=["row", AT]).join(lists, on=["row", AT], how="left")
    names = [name for item in layout.sequences for name in (item.column, item.age_column) if name]
    rows_found = with_sequences(joined, layout).select("impression_id", NUMBERS, *names).collect()
    return {row["impression_id"]: ([*row[NUMBERS]], *[row[name] for name in names]) for row in rows_found}


@pytest.mark.parametrize(
    ("days", "more", "rows_a_task"),
    [
        pytest.param(DAYS[3:], {}, 1_000_000, marks=pytest.mark.slow),
        # Last times reach back further than the window. Three of the four key sets have hot keys, which are cut.
        pytest.param(DAYS[3:], {"delay_s": 3600, "horizon_days": 3, "windows": ["2d"]}, 400, marks=pytest.mark.slow),
        # What came before is one block of eight days.
        (DAYS[8:], {"delay_s": 300}, 1_000_000),
        pytest.param(DAYS[6:7], {"delay_s": 90_000}, 1_000_000, marks=pytest.mark.slow),
        pytest.param(DAYS, {"horizon_days": 2, "windows": ["1d", "all"]}, 1_000_000, marks=pytest.mark.slow),
    ],
)
def test_an_impression_knows_what_a_search_of_all_finds(spark, seed, days, more, rows_a_task):
    layout = Layout.of(declared(**more), OBJECTIVES, sequences())
    rows = oracle.impressions(Random(seed), DAYS, ZONE, len(OBJECTIVES))
    found = looked_up(spark, rows, layout, days, rows_a_task)
    asked = [row for row in rows if oracle.local(row.at, ZONE) in days]
    assert len(found) == len(asked)
    for row in asked:
        expected = [oracle.known_before(row, rows, layout, ZONE)]
        for item in layout.sequences:
            values, ages = oracle.sequence_before(row, rows, item, layout, ZONE)
            expected += [values, pytest.approx(ages)] if item.age else [values]
        assert found[row.impression_id] == tuple(expected), row


def test_a_long_window_reads_blocks_and_the_days_at_its_ends():
    layout = Layout.of(declared(windows=["all", "9d"]), OBJECTIVES)
    span = Span(ZONE, DAYS[0] + timedelta(days=21), DAYS[0] + timedelta(days=21))
    have = {holding(DAYS[0] + timedelta(days=step), 8) for step in range(16)}
    blocks = {Block(DAYS[0], 8), Block(DAYS[8], 8)}
    alone = set(map(Block, days_between(DAYS[0] + timedelta(days=12), span.last)))
    assert needed(layout, span, have) == blocks | alone
