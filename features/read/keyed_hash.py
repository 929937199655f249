"""Keyed hashes in place of identifiers, so that tables still join and no written file holds the identifier itself."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.pandas.functions import pandas_udf

from camoe.contracts.errors import ConfigError
from features.spark.expressions import columns_read

HEX_DIGITS = 32
ANSI = "spark.sql.ansi.enabled"


def hasher(key: bytes) -> Callable[[Column], Column]:
    """Return a function of string columns that hashes their values; null stays null.

    A hash is the first 32 hex digits of HMAC-SHA-256 over the UTF-8 text.
    """

    # A built-in would need the key as a literal, which query plans, Spark's pages and event logs show. In a Python
    # function it travels inside the serialised code only.
    def keyed_hash(texts: pd.Series) -> pd.Series:
        def digest(text: str | None) -> str | None:
            return None if text is None else hmac.digest(key, text.encode(), "sha256").hex()[:HEX_DIGITS]

        return texts.map(digest)

    hash_of: Callable[[Column], Column] = pandas_udf(keyed_hash, "string")  # type: ignore[call-overload]
    return hash_of


def hidden_columns(raw: DataFrame, hashed: Mapping[str, str]) -> frozenset[str]:
    """Return the columns of `raw` that hold what the `hashed` expressions are to hide.

    An expression that reads one of them beside other columns, such as an impression id made of user, ad and time, adds
    no further ones.
    """
    reads = sorted((columns_read(raw, {name: sql}) for name, sql in hashed.items()), key=len)
    hidden = frozenset[str]()
    for columns in reads:
        hidden |= frozenset() if columns & hidden else columns
    return hidden


def require_hidden(raw: DataFrame, hashed: Mapping[str, str], plain: Mapping[str, str]) -> None:
    """Raise `ConfigError` when a `plain` expression reads a column of `raw` that holds what is to be hidden."""
    hidden = hidden_columns(raw, hashed)
    for name, sql in plain.items() if hidden else ():
        shared = sorted(columns_read(raw, {name: sql}) & hidden)
        if shared:
            raise ConfigError(
                f"sources.keyed_hash: '{name}: {sql}' reads the column {shared[0]}, which a hashed column reads too, "
                f"so it would carry what is to be hidden; add {name} to sources.keyed_hash.columns, take it out of the "
                "mapping, or map the identifier by itself too, so that it is known which column holds it"
            )


@contextmanager
def failing_as_null(spark: SparkSession) -> Iterator[None]:
    """Let expressions that are resolved inside the block give null where they fail.

    Otherwise a failed cast would show the value that failed, in the error and in the logs of every executor.
    """
    before = str(spark.conf.get(ANSI))
    spark.conf.set(ANSI, "false")
    try:
        yield
    finally:
        spark.conf.set(ANSI, before)
