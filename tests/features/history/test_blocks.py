"""Blocks of days: the fewest that hold a stretch of time, and those that are whole."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from camoe.contracts.history import History
from features.history.blocks import SIZES, Block, cover, days_between, holding, whole_blocks
from features.history.keys import Layout

days = st.dates(date(2024, 1, 1), date(2027, 12, 31))


def blocks_near(day):
    return st.sets(
        st.builds(
            lambda step, size: holding(day + timedelta(days=step), size), st.integers(0, 900), st.sampled_from(SIZES)
        )
    )


@given(st.data())
def test_a_cover_holds_each_day_once_by_the_fewest_blocks(data):
    first = data.draw(days)
    last = first + timedelta(days=data.draw(st.integers(-1, 900)))
    have = data.draw(blocks_near(first))
    found = cover(first, last, have)
    assert [day for block in found for day in days_between(block.first, block.last)] == list(days_between(first, last))
    assert all(block.days == 1 or block in have for block in found)
    within = [block for block in have if first <= block.first and block.last <= last]
    # Blocks are nested or apart, so the fewest are those that lie in no other.
    assert all(any(one.first <= block.first and block.last <= one.last for one in found) for block in within)


def test_with_all_blocks_a_cover_grows_with_the_logarithm_of_the_days():
    last = date(2026, 5, 17)
    every = {holding(last - timedelta(days=back), size) for back in range(2_000) for size in SIZES}
    lengths = [len(cover(last - timedelta(days=back), last, every)) for back in range(1_500)]
    assert max(lengths) <= 2 * 7 * len(SIZES)


@given(days, st.integers(0, 10), st.sampled_from(SIZES), st.data())
def test_a_block_is_whole_once_all_of_its_sources_are_there(since, lag, size, data):
    history = History.model_validate({"since": since, "keys": {"all": []}})
    layout = Layout(history, {"impression": 0, "click": lag * 86400})
    every = days_between(since, since + timedelta(days=3 * size))
    gone = data.draw(st.sampled_from(every))
    found = whole_blocks([day for day in every if day != gone], size, layout)
    assert Block(holding(gone, size).first, size) not in found
    for block in {holding(day, size) for day in every}:
        sources = block.sources(layout)
        assert set(sources) == {
            day for day in days_between(block.first - timedelta(days=lag + 1), block.last) if day >= since
        }
        assert (block in found) == (gone not in sources and since <= block.first and block.last <= every[-1])
