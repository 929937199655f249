"""Spark's own failures in one line: what was being read or computed, and what Spark says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException, PySparkException

from camoe.contracts.errors import InputError

# The errors of a Spark call: those that pyspark knows, and Java's own.
SPARK_FAILURES = (PySparkException, Py4JJavaError)
FAILED_FILE = re.compile(r"\[FAILED_READ_FILE\S*\] Encountered error while reading file (\S+?)\.?\s")
RAISED = "[USER_RAISED_EXCEPTION] "
# SQL states of data exceptions and broken constraints, whose messages quote the value.
QUOTES_A_VALUE = re.compile(r"\[[A-Z][A-Z0-9_.]*\].*SQLSTATE: 2[23]", re.DOTALL)
# Up to the last quote of the line, since a value may hold quotes itself, or to its end, since it may hold line breaks.
QUOTED_VALUE = re.compile(r"(?<!\w)'(?:.*'|.*)|\"(?:.*\"|.*)")
CAST = re.compile(r'of the type ("[^"]*") cannot be cast to ("[^"]*")')
QUERY = re.compile(r"== SQL[^\n]*==\n(.*)")


def first_line(error: Exception) -> str:
    """Return the error in one line, without Java's class names, Spark's state code, and any value of the data."""
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
    """Yield the messages of an error and of its causes, outermost first."""
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
def as_input_errors(what: str, remedy: str) -> Iterator[None]:
    """Turn a failure of Spark inside the block into an `InputError`: `what` failed, why, and the `remedy`."""
    try:
        yield
    except SPARK_FAILURES as error:
        raise InputError(f"{what}: {first_line(error)}; {remedy}") from error
