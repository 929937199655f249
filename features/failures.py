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
from features.repeatable import run_dependent

# What a Spark call raises: errors that pyspark knows, and Java's own.
SPARK_FAILURES = (PySparkException, Py4JJavaError)
FAILED_FILE = re.compile(r"\[FAILED_READ_FILE\S*\] Encountered error while reading file (\S+?)\.?\s")
RAISED = "[USER_RAISED_EXCEPTION] "
# SQL states of data exceptions and broken constraints, whose messages quote the value.
QUOTES_A_VALUE = re.compile(r"\[[A-Z][A-Z0-9_.]*\].*SQLSTATE: 2[23]", re.DOTALL)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# Up to the last quote of the line, since a value may hold quotes itself, or to its end, since it may hold line breaks.
QUOTED_VALUE = re.compile(r"(?<!\w)'(?:.*'|.*)|\"(?:.*\"|.*)")
# Names that Spark takes for functions where there is no such column; `user` would be who runs the job.
FUNCTION_WORD = re.compile(
    r"(?<![.\w`])(user|session_user|current_(?:user|date|timestamp|time|catalog|database|schema)|localtimestamp)\b(?!\s*\()"
)
CAST = re.compile(r'of the type ("[^"]*") cannot be cast to ("[^"]*")')
QUERY = re.compile(r"== SQL[^\n]*==\n(.*)")


def first_line(error: Exception) -> str:
    """The error in one line, without Java's class names, Spark's state code, and any value of the data."""
    texts = list(_texts(error))
    for text in texts:
        # A task's message may stand within one that says which task failed.
        _, raised, told = text.partition(RAISED)
        if raised:
            return _first(told)
        quoting = QUOTES_A_VALUE.search(text)
        if quoting:
            return _without_value(text[quoting.start() :])
    file = next((f"{found[1]}: " for found in map(FAILED_FILE.match, texts) if found), "")
    said = _first(texts[-1])
    # What analysis says quotes expressions and types; what fails on rows may quote a value, also Java's own errors.
    return file + (said if isinstance(error, AnalysisException) else QUOTED_VALUE.sub("'...'", said))


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
    frame: DataFrame, expressions: Mapping[str, str], where: str, kind: type[CamoeError] = InputError, there: str = ""
) -> dict[str, Column]:
    """Named SQL expressions as columns of `frame`; `there` says in an error which columns it has (default: by name).

    Raises:
        CamoeError: of the given kind; one does not parse, names a column that `frame` lacks, or is run-dependent.
    """
    columns = {name: F.expr(sql).alias(name) for name, sql in expressions.items()}
    try:
        frame.select(*columns.values())
        wrong = {name: _function_word(frame, sql) for name, sql in expressions.items()}
    except AnalysisException:
        wrong = {name: _unresolved(frame, sql) for name, sql in expressions.items()}
    for name, reason in wrong.items():
        if reason:
            columns_there = there or ", ".join(frame.columns)
            raise kind(f"{where}: '{name}: {expressions[name]}': {reason}; the columns there are {columns_there}")
    if run_dependent(frame, expressions.values()):
        name = next(name for name, sql in expressions.items() if run_dependent(frame, [sql]))
        raise kind(
            f"{where}: '{name}: {expressions[name]}' draws lots or reads the clock or another circumstance of the run, "
            "so the same input would not give the same rows again; use columns of the input only"
        )
    return columns


def _unresolved(frame: DataFrame, sql: str) -> str:
    try:
        frame.select(F.expr(sql))
    except AnalysisException as error:
        return _reason(error)
    return _function_word(frame, sql)


def _function_word(frame: DataFrame, sql: str) -> str:
    """Why `sql` means a function where it names a column that is missing; empty where it does not."""
    there = {column.lower() for column in frame.columns}
    words = FUNCTION_WORD.findall(QUOTED.sub("", sql).lower())
    missing = next((word for word in words if word not in there), None)
    return f"there is no column `{missing}`" if missing else ""


def _reason(error: AnalysisException) -> str:
    if (error.getCondition() or "").startswith("UNRESOLVED_COLUMN"):
        return f"there is no column {(error.getMessageParameters() or {}).get('objectName')}"
    return first_line(error)
