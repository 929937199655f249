"""Spark's own failures, told in one line: what was being read or computed, and what Spark says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.errors import CamoeError, InputError

# What a Spark call raises: errors that pyspark knows, and Java's own.
SPARK_FAILURES = (PySparkException, Py4JJavaError)


def first_line(error: Exception) -> str:
    """The first line of an error, without Java's class names and Spark's state code."""
    if isinstance(error, Py4JJavaError):
        cause = error.java_exception
        while cause.getCause() is not None:
            cause = cause.getCause()
        text = str(cause.getMessage() or cause.toString())
    else:
        text = str(error)
    return text.strip().splitlines()[0].partition(" SQLSTATE:")[0].strip()


@contextmanager
def explained(what: str, remedy: str) -> Iterator[None]:
    """Turn a failure of Spark inside the block into an `InputError`: `what` failed, why, and the `remedy`."""
    try:
        yield
    except SPARK_FAILURES as error:
        raise InputError(f"{what}: {first_line(error)}; {remedy}") from error


def resolve(
    frame: DataFrame, expressions: Mapping[str, str], where: str, kind: type[CamoeError] = InputError
) -> dict[str, Column]:
    """Named SQL expressions as columns of `frame`.

    Raises:
        CamoeError: of the given kind; one does not parse or names a column that `frame` lacks.
    """
    columns = {name: F.expr(sql).alias(name) for name, sql in expressions.items()}
    try:
        frame.select(*columns.values())
    except AnalysisException:
        for name, sql in expressions.items():
            _require_resolved(frame, name, sql, where, kind)
        raise
    return columns


def _require_resolved(frame: DataFrame, name: str, sql: str, where: str, kind: type[CamoeError]) -> None:
    try:
        frame.select(F.expr(sql))
    except AnalysisException as error:
        there = ", ".join(frame.columns)
        raise kind(f"{where}: '{name}: {sql}': {_reason(error)}; the columns there are {there}") from None


def _reason(error: AnalysisException) -> str:
    if (error.getCondition() or "").startswith("UNRESOLVED_COLUMN"):
        return f"there is no column {(error.getMessageParameters() or {}).get('objectName')}"
    return first_line(error)
