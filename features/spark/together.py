"""Spark actions that do not wait for one another: while one is planned, another's tasks run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from pyspark import inheritable_thread_target
from pyspark.sql import SparkSession

ResultT = TypeVar("ResultT")
OtherT = TypeVar("OtherT")
# As many actions as a driver of few cores can plan at once.
AT_ONCE = 2


def together(spark: SparkSession, actions: Sequence[Callable[[], ResultT]]) -> list[ResultT]:
    """Run `actions` in threads and return their results in order.

    Raises what the first of them raises, in their order, once all have ended: no action goes on behind an error.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = [pool.submit(inheritable_thread_target(spark)(action)) for action in actions]
    return [future.result() for future in started]


def both(spark: SparkSession, first: Callable[[], ResultT], second: Callable[[], OtherT]) -> tuple[ResultT, OtherT]:
    """Run `first` in a thread and `second` in this one; as `together`, for results of two types."""
    with ThreadPoolExecutor(1) as pool:
        aside = pool.submit(inheritable_thread_target(spark)(first))
        try:
            result = second()
        finally:
            # The error of the first is the one to tell.
            other = aside.result()
    return other, result
