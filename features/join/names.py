"""Helper columns of the join, and the names under which an entity's own columns travel through it."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

AGE = "age_s"
# The entity's key, in the type that the impressions' key has.
KEY = "_key"
# The stretch of a key's time that a row belongs to; 0 where the key is not cut.
BRACKET = "_bracket"
# One number for (key, bracket): rows are shuffled and sorted by it, which is quicker than by the key itself.
ADDRESS = "_address"
# The same of an impression, and when it happened: microseconds since 1970.
SERVED_BRACKET = "_served_bracket"
SERVED_ADDRESS = "_served_address"
INSTANT = "_instant"
# A version is joined to impressions with from <= instant < to.
FROM = "_from"
TO = "_to"


def field(column: str) -> str:
    """Return the name of an entity's column during the join, which no impression column has."""
    return f"_field_{column}"


def key_hash(key: Column) -> Column:
    """Return a number to name a hot key by, so that no key itself is written anywhere; numbers are quick to count."""
    return F.xxhash64(key)


def address(key: Column, bracket: Column) -> Column:
    """Return the row's `ADDRESS`. Different (key, bracket) may share one, so a join by it compares them too."""
    return F.xxhash64(key, bracket)
