"""Spark's own failures in one line: what was being read or computed, and what Spark says."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import AnalysisException, PySparkException

from camoe.config.ending import SYSTEM_REMEDIES, LostSparkError
from camoe.contracts.errors import CamoeError, InputError


class StorageError(CamoeError):
    """A disk or object store did not take what Spark wrote."""


# The errors of a Spark call: those that pyspark knows, and Java's own.
SPARK_FAILURES = (PySparkException, Py4JJavaError)
FAILED_FILE = re.compile(r"\[FAILED_READ_FILE\S*\] Encountered error while reading file (\S+?)\.?\s")
RAISED = "[USER_RAISED_EXCEPTION] "
# What to do about a failure, by what its messages hold; the first that fits. A message of our own says it itself.
REMEDIES = (
    (re.escape(RAISED), ""),
    ("OutOfMemoryError|GC overhead limit", "give Spark more memory (spark.driver.memory, spark.executor.memory)"),
    ("SQLSTATE: 22", "use try_cast, or another function that begins with try_, in that expression, or mend the input"),
    (r"\[INVALID_TIMEZONE", "name a time zone that Java knows"),
)
NO_WHOLE_FILE = "put a whole copy of that file there, or take it out"
# How Java shows an object that has no text.
OBJECT = re.compile(r"[\w.$]+@[0-9a-f]{4,8}\b")
# SQL states of data exceptions and broken constraints, whose messages quote the value.
QUOTES_A_VALUE = re.compile(r"\[[A-Z][A-Z0-9_.]*\].*SQLSTATE: 2[23]", re.DOTALL)
# Up to the last quote of the line, since a value may hold quotes itself, or to its end, since it may hold line breaks.
QUOTED_VALUE = re.compile(r"(?<!\w)'(?:.*'|.*)|\"(?:.*\"|.*)")
CAST = re.compile(r'of the type ("[^"]*") cannot be cast to ("[^"]*")')
# What Spark says when it is being ended, and what py4j says when it is not there any more.
SPARK_IS_GONE = (
    "SparkContext was shut down",
    "Cannot call methods on a stopped SparkContext",
    "Answer from Java side is empty",
    "Connection refused",
    "An error occurred while trying to connect to the Java server",
)
SYSTEM = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
    "File too large": errno.EFBIG,
}
# An error that a Python worker of Spark has told.
TOLD_BY_PYTHON = re.compile(r"^camoe\.[\w.]+Error: (.+)$", re.MULTILINE)
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
    file = next((f"{found[1]} cannot be read: " for found in map(FAILED_FILE.match, texts) if found), "")
    said = OBJECT.sub("...", _first(texts[-1]))
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


def not_of_the_input(error: Exception) -> CamoeError | None:
    """Return what `error` is where neither data nor expressions are at fault; None for any other failure."""
    texts = list(_texts(error))
    whole = "\n".join(texts)
    if any(sign in whole for sign in SPARK_IS_GONE):
        return LostSparkError("Spark was ended from outside; what was not finished counts for nothing")
    for said, number in SYSTEM.items():
        if said in whole:
            line = next(line for line in whole.splitlines() if said in line)
            return StorageError(f"{line.strip()}; {SYSTEM_REMEDIES[number]}, then run the same command again")
    told = TOLD_BY_PYTHON.findall(whole)
    return CamoeError(told[-1]) if told else None


def of_the_job(error: Exception) -> CamoeError | None:
    """Return what a job is to say of a failure of Spark that a user can mend; None for any other."""
    return not_of_the_input(error) if isinstance(error, (*SPARK_FAILURES, Py4JError, ConnectionError)) else None


@contextmanager
def as_input_errors(what: str, remedy: str, damaged: str | None = None) -> Iterator[None]:
    """Turn a failure of Spark inside the block into an `InputError`: `what` failed, why, and what to do.

    That is the remedy of this failure where there is one, else `remedy`; for a file that cannot be read, `damaged`.
    """
    try:
        yield
    except SPARK_FAILURES as error:
        other = not_of_the_input(error)
        if other is not None:
            raise other from error
        whole = "\n".join(_texts(error))
        usual = damaged if damaged and "[FAILED_READ_FILE" in whole else remedy
        own = next((one for pattern, one in REMEDIES if re.search(pattern, whole)), usual)
        raise InputError("; ".join(filter(None, (f"{what}: {first_line(error)}", own)))) from error
