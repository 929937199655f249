"""All strategies against a search of all versions."""

from __future__ import annotations

from datetime import date
from functools import reduce
from random import Random

import pytest
from pyspark.sql import functions as F

from features.join.choice import Brackets, Choice, Limits
from features.join.point_in_time import decide, join_entity
from tests.features.join import oracle
from tests.features.join.hashes import spark_hash_of

FIRST, LAST = min(oracle.ANCHORS) - 3 * oracle.SECOND, max(oracle.ANCHORS) + 7 * oracle.SECOND
# Random tables that are joined together, each under keys of its own.
CASES, MANY = 8, 60
HOT = tuple(spark_hash_of(f"{number} {key}") for number in range(MANY) for key in ("hot", "a"))
COARSE = Brackets.over(FIRST, LAST, 7)
# Brackets of seconds around one anchor: most rows lie outside of them.
FINE = Brackets(oracle.ANCHORS[2] - oracle.SECOND, oracle.SECOND, 4)
CHOICES = {
    "broadcast": Choice("user", "broadcast", "-"),
    "broadcast by bracket": Choice("user", "broadcast", "-", COARSE),
    "broadcast by second": Choice("user", "broadcast", "-", FINE),
    "intervals": Choice("user", "intervals", "-"),
    "intervals, hot": Choice("user", "intervals", "-", COARSE, HOT),
    "union": Choice("user", "union", "-"),
    "union, hot": Choice("user", "union", "-", COARSE, HOT),
}
FAMILIES = (
    ("broadcast", "broadcast by bracket", "broadcast by second"),
    ("intervals", "intervals, hot"),
    ("union", "union, hot"),
)


def drawn(draw, count):
    """Random (impressions, versions)."""
    return [(oracle.impressions(draw), oracle.versions(draw)) for _ in range(count)]


def joined_each_way(left, right, entity, choices):
    """The answers of every choice in one Spark job, each with the choice's name."""
    ways = [
        oracle.answers(join_entity(left, right, "user", entity, choice)).withColumn("way", F.lit(way))
        for way, choice in choices.items()
    ]
    rows = reduce(lambda one, other: one.unionByName(other), ways).collect()
    found = {way: [tuple(row)[:-1] for row in rows if row.way == way] for way in choices}
    assert {way: len(answer) for way, answer in found.items()} == dict.fromkeys(choices, left.count())
    return {way: set(answer) for way, answer in found.items()}


def agree(spark, entity, cases, choices):
    left, right = oracle.frames(spark, *oracle.together(cases))
    expected = oracle.searched_each(cases, entity)
    for way, answer in joined_each_way(left, right, entity, choices).items():
        assert answer == expected, way


# Every second kind; the others are long proofs.
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow) if turn % 2 else kind for turn, kind in enumerate(oracle.ENTITIES)],
)
def test_every_strategy_joins_what_a_search_of_all_versions_finds(spark, kind, seed):
    """One way of each strategy a setting, and over the settings every way."""
    turn = seed + list(oracle.ENTITIES).index(kind)
    ways = [family[turn % len(family)] for family in FAMILIES]
    cases = drawn(Random(f"{kind} {seed}"), CASES)
    agree(spark, oracle.entity(**oracle.ENTITIES[kind]), cases, {way: CHOICES[way] for way in ways})


@pytest.mark.slow
@pytest.mark.usefixtures("as_shipped")
@pytest.mark.parametrize("kind", oracle.ENTITIES)
def test_every_strategy_joins_what_a_search_finds_in_many_tables(spark, kind, seed):
    cases = drawn(Random(f"many {kind} {seed}"), MANY)
    agree(spark, oracle.entity(**oracle.ENTITIES[kind]), cases, CHOICES)


def test_brackets_of_a_second_with_most_versions_before_and_after_them(spark, seed):
    draw = Random(seed)
    cases = [
        ([(key, draw.randrange(FINE.first, FINE.end)) for key, _ in served], rows)
        for served, rows in drawn(draw, CASES)
    ]
    choices = {way: Choice("user", way, "-", FINE, HOT) for way in ("intervals", "union")}
    agree(spark, oracle.entity(available=True), cases, choices)


def on_the_bounds(settings, first, last):
    """Impressions at the first and at the last microsecond, and versions that each are the only one to be joined."""
    step = 1 if settings.bound == "<" else 0
    oldest = first - settings.lookback_s * oracle.SECOND
    times = {
        "new": [last - step],
        "too new": [last - step + 1],
        "old": [oldest],
        "too old": [oldest - 1],
        "ends": [first - oracle.SECOND, first + 1 - step],
    }
    rows = [(key, ts, ts, 0, number) for key, begins in times.items() for number, ts in enumerate(begins)]
    return [(key, at) for key in times for at in (first, last)], rows


@pytest.mark.parametrize("kind", [pytest.param("before, looks back", marks=pytest.mark.slow), "available, looks back"])
def test_what_no_impression_of_the_times_told_can_see_is_left_out_and_no_more(spark, kind, seed):
    draw = Random(f"within {kind} {seed}")
    entity = oracle.entity(**oracle.ENTITIES[kind])
    first, last = FINE.first, FINE.end - 1
    seconds = [at + near for at in range(first, FINE.end, oracle.SECOND) for near in (-1, 0, 1) if at + near >= first]
    cases = [on_the_bounds(entity, first, last)] + [
        ([(key, draw.choice(seconds)) for key, _ in served], rows) for served, rows in drawn(draw, CASES)
    ]
    choices = {
        "intervals": Choice("user", "intervals", "-", within=(first, last)),
        "intervals, hot": Choice("user", "intervals", "-", FINE, HOT, within=(first, last)),
        "union, hot": Choice("user", "union", "-", FINE, HOT, within=(first, last)),
    }
    agree(spark, entity, cases, choices)


@pytest.mark.parametrize("densest", [16, 0], ids=["cut", "crowded"])
def test_what_is_decided_from_the_rows_themselves_joins_what_a_search_finds(spark, densest):
    """Small limits, so that a key counts as hot by a sample; its versions crowd where the limit is none a bracket."""
    draw = Random(f"decided {densest}")
    hot = spark_hash_of("hot")
    entity = oracle.entity(**oracle.ENTITIES["available, looks back"])
    served, rows = oracle.impressions(draw), oracle.versions(draw)
    limits = Limits(
        broadcast_bytes=100,
        hot_rows=20,
        hot_share=0.3,
        versions_a_bracket=8,
        impressions_a_bracket=10,
        brackets=20,
        densest=densest,
        sampled=2,
    )
    left, right = oracle.frames(spark, served, rows)
    choice = decide(left, right, "user", entity, [date(2026, 3, 29)], limits=limits)
    times = [now for key, now in served if key is not None and now is not None]
    assert (choice.strategy, choice.within) == ("intervals" if densest else "union", (min(times), max(times)))
    assert hot in choice.hot
    assert choice.brackets.count > 1
    assert joined_each_way(left, right, entity, {"decided": choice})["decided"] == oracle.searched(served, rows, entity)


def test_a_table_without_rows_leaves_every_impression_without_features(spark):
    agree(spark, oracle.entity(available=True), [(oracle.impressions(Random(1), 20), [])], CHOICES)


def test_rows_that_came_later_change_nothing_before(spark, seed):
    """Tables cut down to what was available by a time, each to that of another, beside the tables as they are."""
    draw = Random(f"cut {seed}")
    times = [draw.choice(oracle.ANCHORS) + draw.randint(-1, 5) * oracle.SECOND for _ in range(CASES)]
    whole = [
        ([row for row in served if row[1] is not None and row[1] <= known], rows)
        for known, (served, rows) in zip(times, drawn(draw, CASES), strict=True)
    ]
    cut = [
        (served, [row for row in rows if None not in row[1:3] and max(row[1:3]) <= known])
        for known, (served, rows) in zip(times, whole, strict=True)
    ]
    assert 0 < sum(len(rows) for _, rows in cut) < sum(len(rows) for _, rows in whole)
    expected = oracle.searched_each(cut + cut, entity := oracle.entity(available=True, lookback_s=3))
    left, right = oracle.frames(spark, *oracle.together(cut + whole))
    for way, answer in joined_each_way(left, right, entity, CHOICES).items():
        assert answer == expected, way
