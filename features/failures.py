"""Spark's own failures, told in one line: what was being read or computed, and what Spark says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.errors import CamoeError, InputError

# What a Spark call raises: errors that pyspark knows, and Java's own.
SPARK_FAILURES = (PySparkException, Py4JJavaError)
FAILED_FILE = re.compile(r"\[FAILED_READ_FILE\S*\] Encountered error while reading file (\S+?)\.?\s")
RAISED = "[USER_RAISED_EXCEPTION] "
# SQL states of data exceptions and broken constraints, whose messages quote the value.
QUOTES_A_VALUE = re.compile(r"\[[^\]]+\].*SQLSTATE: 2[23]", re.DOTALL)
CAST = re.compile(r'of the type ("[^"]*") cannot be cast to ("[^"]*")')
QUERY = re.compile(r"== SQL[^\n]*==\n(.*)")


def first_line(error: Exception) -> str:
    """The error in one line, without Java's class names, Spark's state code, and any value of the data."""
    texts = list(_texts(error))
    for text in texts:
        if text.startswith(RAISED):
            return _first(text.removeprefix(RAISED))
        if QUOTES_A_VALUE.match(text):
            return _without_value(text)
    file = next((f"{found[1]}: " for found in map(FAILED_FILE.match, texts) if found), "")
    return file + _first(texts[-1])


def _texts(error: Exception) -> Iterator[str]:
    """The messages of an error and of what caused it, outermost first."""
    if not isinstance(error, Py4JJavaError) and getattr(error, "_origin", None) is None:
        yield str(error)
        return
    cause = error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)
    while cause is not None:
        yield str(cause.getMessage() or cause.toString())
        cause = cause.getCause()


def _first(text: str) -> str:
    return text.strip().splitlines()[0].partition(" SQLSTATE:")[0].strip()


def _without_value(text: str) -> str:
    types, query = CAST.search(text), QUERY.search(text)
    what = (
        f"a value of the type {types[1]} cannot be cast to {types[2]}"
        if types
        else _first(text).partition("]")[0] + "]"
    )
    return what + (f" in: {query[1]}" if query else "")


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
