"""Brackets of time: a key's rows cut into stretches that are joined apart, each complete in itself."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.join.choice import Brackets, Key
from features.join.names import ADDRESS, BRACKET, FROM, KEY, TO, address, key_hash


def bracket_of(instant: Column, brackets: Brackets) -> Column:
    """The bracket of a microsecond: 0 to count - 1, -1 before the first and count after the last; null for null."""
    if brackets.count == 1:
        return F.when(instant.isNotNull(), F.lit(0).cast("long"))
    inside = F.call_function("div", instant - F.lit(brackets.first), F.lit(brackets.width))
    outside = F.when(instant < brackets.first, F.lit(-1)).when(instant >= brackets.end, F.lit(brackets.count))
    return outside.otherwise(inside).cast("long")


def is_hot(key: str, hot: Sequence[Key]) -> Column:
    """Whether a row's key is one that is cut. `hot` are hashes; to cut a key that shares one does no harm."""
    return key_hash(F.col(key)).isin(list(hot)) if hot else F.lit(False)


def uncut(rows: DataFrame) -> DataFrame:
    """Versions with `_bracket` 0 and `_address`."""
    return addressed(rows.withColumn(BRACKET, F.lit(0).cast("long")))


def addressed(rows: DataFrame) -> DataFrame:
    """Versions or intervals with the `_address` of their key and bracket."""
    return rows.withColumn(ADDRESS, address(F.col(KEY), F.col(BRACKET)))


def copied(intervals: DataFrame, brackets: Brackets) -> DataFrame:
    """Each interval once in every bracket that it touches: at most one row more a key and bracket."""
    first, last = bracket_of(F.col(FROM), brackets), bracket_of(F.col(TO) - 1, brackets)
    return addressed(intervals.withColumn(BRACKET, F.explode(F.sequence(first, last))))


def dealt(rows: DataFrame, hot: Sequence[Key], brackets: Brackets) -> DataFrame:
    """Rows without ts: those of hot keys once in every bracket, the others in bracket 0."""
    every = F.sequence(F.lit(0).cast("long"), F.lit(brackets.count - 1).cast("long"))
    first = F.array(F.lit(0).cast("long"))
    spread = F.explode(F.when(is_hot(KEY, hot), every).otherwise(first))
    return addressed(rows.withColumn(BRACKET, spread))
