"""The choice of a strategy from counts alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camoe.contracts.sources import Entity
from features.join.choice import (
    Brackets,
    Limits,
    ServedStatistics,
    Statistics,
    TableStatistics,
    choose,
    fits_broadcast,
    settle,
)

U, V = 11, 22
DAY = 86_400_000_000
LIMITS = Limits()
COLUMNS = {"user_id": "user_id", "ts": "ts", "plan": "plan"}


def entity(strategy="auto", timed=True):
    columns = COLUMNS if timed else {"user_id": "user_id", "plan": "plan"}
    return Entity(path="-", key="user_id", columns=columns, strategy=strategy)


def counts(rows, keys, most=None, heavy=None, served=None, served_heavy=None, row_bytes=100.0):
    table = TableStatistics(rows, keys, row_bytes, rows, most or max(1, rows // keys), heavy or {})
    met = None if served is None else ServedStatistics(served, 0, 6 * DAY - 1, served_heavy or {})
    return Statistics(table, 0, 6 * DAY - 1, met)


def chosen(statistics, settings=None):
    return choose("user", statistics, settings or entity(), LIMITS)


def test_a_small_table_is_broadcast_whole():
    choice = chosen(counts(rows=5_000, keys=2_000))
    assert (choice.strategy, choice.brackets.count) == ("broadcast", 1)
    assert str(choice) == "user: broadcast (5,000 rows, about 0.9 MiB)"


def test_many_versions_a_key_are_broadcast_by_brackets_that_hold_the_run():
    choice = chosen(counts(rows=200_000, keys=200, most=1_000))
    assert choice.strategy == "broadcast"
    assert choice.brackets.first == 0
    assert choice.brackets.end >= 6 * DAY
    assert 1_000 / choice.brackets.count <= LIMITS.versions_a_bracket


def test_copies_in_brackets_count_towards_the_size():
    """20,000 keys fit, but not 300 times each, for the sake of one key with 10,000 versions."""
    assert fits_broadcast(counts(rows=40_000, keys=20_000), LIMITS)
    assert not fits_broadcast(counts(rows=40_000, keys=20_000, most=10_000), LIMITS)


def test_few_versions_a_key_are_compared_one_by_one():
    choice = chosen(counts(rows=1_000_000, keys=100_000, served=2_000_000))
    assert (choice.strategy, choice.hot) == ("intervals", ())
    assert str(choice) == "user: intervals (10.0 versions a key)"


def test_many_versions_a_key_are_sorted_together():
    choice = chosen(counts(rows=10_000_000, keys=10_000, served=2_000_000))
    assert choice.strategy == "union"
    assert "1000.0 versions a key, more than 64" in str(choice)


def test_a_key_with_a_fifth_of_both_sides_is_cut():
    statistics = counts(1_000_000, 100_000, heavy={U: 200_000}, served=2_000_000, served_heavy={U: 400_000, V: 15_000})
    choice = chosen(statistics)
    assert (choice.strategy, choice.hot) == ("intervals", (U,))
    assert 200_000 / choice.brackets.count <= LIMITS.versions_a_bracket
    assert "1 hot key in" in str(choice)


def test_a_key_of_few_versions_and_many_impressions_is_cut_too():
    choice = chosen(counts(1_000_000, 100_000, heavy={U: 3}, served=2_000_000, served_heavy={U: 400_000}))
    assert choice.hot == (U,)
    assert 400_000 / choice.brackets.count <= LIMITS.impressions_a_bracket


def test_a_key_of_small_shares_and_too_many_pairs_is_cut():
    statistics = counts(10**9, 10**8, heavy={U: 200_000}, served=10**9, served_heavy={U: 200_000})
    assert chosen(statistics).hot == (U,)


def test_hot_keys_of_a_table_without_ts_are_dealt_out():
    statistics = counts(10_000_000, 10_000_000, served=2_000_000, served_heavy={U: 400_000})
    choice = chosen(statistics, entity(timed=False))
    assert (choice.strategy, choice.hot) == ("intervals", (U,))
    assert choice.brackets == Brackets(0, 1, 40)


def test_a_hot_key_whose_versions_crowd_in_one_bracket_is_sorted_instead():
    first = chosen(counts(1_000_000, 100_000, heavy={U: 200_000}, served=2_000_000, served_heavy={U: 400_000}))
    assert settle(first, 100, entity(), LIMITS) == first
    crowded = settle(first, 100_000, entity(), LIMITS)
    assert (crowded.strategy, crowded.hot, crowded.brackets) == ("union", first.hot, first.brackets)
    assert "100,000 versions in one of" in str(crowded)
    assert settle(first, 100_000, entity("intervals"), LIMITS) == first


@pytest.mark.parametrize("strategy", ["broadcast", "intervals", "union"])
def test_a_declared_strategy_is_kept(strategy):
    choice = chosen(counts(1_000_000, 100_000, served=10), entity(strategy))
    assert choice.strategy == strategy
    assert "as declared" in str(choice)


def test_no_rows_at_all_are_no_special_case():
    assert chosen(Statistics(TableStatistics(0, 0, 100.0, 0, 0), 0, DAY)).strategy == "broadcast"
    forced = Statistics(TableStatistics(0, 0, 100.0, 0, 0), 0, DAY, ServedStatistics(0, 0, 0))
    assert chosen(forced, entity("intervals")).hot == ()


@given(st.integers(-(10**17), 10**17), st.integers(0, 10**17), st.integers(1, 100_000))
def test_brackets_hold_the_first_and_the_last_microsecond_and_no_bracket_more(first, length, count):
    brackets = Brackets.over(first, first + length, count)
    assert brackets.count <= count
    assert brackets.first == first
    assert brackets.end - brackets.width <= first + length < brackets.end
