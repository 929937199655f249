"""The history on disk: what counts after days are made, made again and tried again, and blocks that rest on them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from camoe.contracts.history import History
from features.delta.commit import CommitMetadata
from features.history.blocks import Block, days_between, holding
from features.history.keys import Layout
from features.history.kinds import STATES
from features.history.records import StoredDay
from features.history.store import EVENTS, HistoryStore, own_name

FIRST = holding(date(2026, 3, 1), 64).first
RUN = CommitMetadata("run", "config", "input")
EVENT = "date date, at bigint, owner bigint, _key_all bigint"
STATE = "date date, known_day date, owner bigint, key_set tinyint, key bigint, n_impression bigint, t_impression bigint"


def write(spark, store, counts, run, final=True):
    """Store days with so many impressions of one key."""
    name = own_name(run)
    events = [(day, 0, None, 1) for day in counts]
    # Half of each day's impressions become known on the day after it.
    states = [
        (day, day + timedelta(days=late), None, 0, 1, count, count + late)
        for day, count in counts.items()
        for late in (0, 1)
    ]
    days = [StoredDay(day=day, run_id=name.run_id, final=final, shown="s", settled="l") for day in counts]
    tables = {EVENTS: spark.createDataFrame(events, EVENT), STATES.name: spark.createDataFrame(states, STATE)}
    store.write(tables, days, name)


def sums(spark, store, stored, size):
    """The count and the last time of each block, by its first day."""
    wanted = {(block.first, one.run_id) for block, one in stored.blocks.items() if block.days == size}
    rows = store.read(spark, stored, STATES.table(size), wanted).collect()
    return {row["date"]: (row["n_impression"], row["t_impression"]) for row in rows}


@pytest.mark.slow
def test_blocks_are_made_of_final_days_and_made_again_with_one_of_them(spark, tmp_path):
    history = History.model_validate({"since": FIRST, "keys": {"all": []}})
    store = HistoryStore(tmp_path, Layout(history, {"impression": 0}))
    days = days_between(FIRST, FIRST + timedelta(days=66))
    counts = dict(zip(days, range(1, 68), strict=True))
    write(spark, store, {day: counts[day] for day in days[:40]}, RUN)
    write(spark, store, {day: counts[day] for day in days[40:50]}, RUN, final=False)
    stored = store.found()
    assert set(stored.blocks) == {Block(day, 8) for day in days[:40:8]}
    # A retry of the run takes nothing away from what an attempt before it has put there.
    assert store.read(spark, stored, EVENTS, {(day, one.run_id) for day, one in stored.days.items()}).count() == 50
    write(spark, store, {day: counts[day] for day in days[40:]}, RUN)

    def expected(first, size):
        known = [
            (counts[day], counts.get(day - timedelta(days=1), 0))
            for day in days_between(first, first + timedelta(days=size - 1))
        ]
        return sum(map(sum, known)), max(max(own, late + 1) for own, late in known)

    before = store.found()
    assert set(before.blocks) == {*(Block(day, 8) for day in days[:64:8]), Block(FIRST, 64)}
    for size in (8, 64):
        assert sums(spark, store, before, size) == {day: expected(day, size) for day in days[:64:size]}
    counts[days[7]] = 1000
    write(spark, store, {days[7]: 1000}, RUN)
    after = store.found()
    # The last day of a block is also one of which something becomes known in the next.
    changed = {block for block, one in after.blocks.items() if one != before.blocks[block]}
    assert changed == {Block(FIRST, 8), Block(days[8], 8), Block(FIRST, 64)}
    for size in (8, 64):
        assert sums(spark, store, after, size) == {day: expected(day, size) for day in days[:64:size]}
    write(spark, store, {days[20]: 0}, RUN, final=False)
    assert set(after.blocks) - set(store.found().blocks) == {Block(days[16], 8), Block(FIRST, 64)}
