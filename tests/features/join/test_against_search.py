"""All strategies against a search of all versions."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from features.join.choice import Brackets, Choice
from features.join.point_in_time import join_entity
from tests.features.join import oracle

FIRST, LAST = min(oracle.ANCHORS) - 3 * oracle.SECOND, max(oracle.ANCHORS) + 7 * oracle.SECOND
HOT = ("hot", "a")
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
few = settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


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


@pytest.mark.parametrize("kind", oracle.ENTITIES)
def test_every_strategy_joins_what_a_search_of_all_versions_finds(spark, kind):
    entity = oracle.entity(**oracle.ENTITIES[kind])

    @few
    @given(served=oracle.impressions, rows=oracle.versions)
    def agrees(served, rows):
        left, right = oracle.frames(spark, served, rows)
        expected = oracle.searched(served, rows, entity)
        for way, answer in joined_each_way(left, right, entity, CHOICES).items():
            assert answer == expected, way

    agrees()


def test_brackets_by_the_second_of_the_hot_key(spark):
    """The impressions lie within the brackets, the versions before, in and after them."""
    entity = oracle.entity(available=True)
    choices = {way: Choice("user", way, "-", FINE, HOT) for way in ("intervals", "union")}

    @few
    @given(
        served=st.lists(st.tuples(oracle.served_keys, st.integers(FINE.first, FINE.end - 1)), min_size=80),
        rows=oracle.versions,
    )
    def agrees(served, rows):
        left, right = oracle.frames(spark, served, rows)
        expected = oracle.searched(served, rows, entity)
        for way, answer in joined_each_way(left, right, entity, choices).items():
            assert answer == expected, way

    agrees()


@settings(few, max_examples=1)
@given(served=oracle.impressions, rows=oracle.versions, now=oracle.instants)
def test_rows_that_came_later_change_nothing_before(spark, served, rows, now):
    """Tables cut down to what was available by a time give the same features to all impressions up to it."""
    entity = oracle.entity(available=True, lookback_s=3)
    left, right = oracle.frames(spark, served, rows)
    known = F.timestamp_micros(F.lit(now))
    until = left.where(F.col("ts") <= known)
    then = right.where((F.col("ts") <= known) & (F.col("available_at") <= known))
    assert joined_each_way(until, then, entity, CHOICES) == joined_each_way(until, right, entity, CHOICES)
