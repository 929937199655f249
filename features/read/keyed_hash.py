"""Keyed hashes in place of identifiers, so that tables still join and no written file holds the identifier itself."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.pandas.functions import pandas_udf

from camoe.contracts.errors import ConfigError
from camoe.contracts.sources import KeyedHash
from features.spark.expressions import columns_read

KEY_BYTES = 16
HEX_DIGITS = 32
ANSI = "spark.sql.ansi.enabled"


def read_key(keyed: KeyedHash) -> bytes:
    """Read the key from the environment variable that `keyed` names.

    Raises:
        ConfigError: it is not set, or shorter than 16 bytes.
    """
    key = os.environ.get(keyed.key_env, "").encode()
    if not key:
        raise ConfigError(f"sources.keyed_hash: the environment variable {keyed.key_env} holds no key; set it")
    if len(key) < KEY_BYTES:
        raise ConfigError(
            f"sources.keyed_hash: the key in {keyed.key_env} has {len(key)} bytes, fewer than {KEY_BYTES}; "
            "make one with: openssl rand -hex 32"
        )
    return key


def fingerprint(key: bytes) -> str:
    """Return the first 8 hex digits of HMAC-SHA-256 with the key over a fixed word.

    They distinguish keys and reveal none.
    """
    return hmac.digest(key, b"camoe", "sha256").hex()[:8]


def hasher(key: bytes) -> Callable[[Column], Column]:
    """Return a function of string columns that hashes their values; null stays null.

    A hash is the first 32 hex digits of HMAC-SHA-256 over the UTF-8 text.
    """

    # A built-in would need the key as a literal, which query plans, Spark's pages and event logs show. In a Python
    # function it travels inside the serialised code only.
    def keyed_hash(texts: pd.Series) -> pd.Series:  # type: ignore[type-arg]
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
