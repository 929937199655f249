"""Identifiers by value: 7, 7.0, decimal 7.00 and '7' are one, whatever type a table has them in; 7.9 is never 7."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType, DoubleType, FloatType, FractionalType, IntegralType, StringType

from camoe.contracts.errors import InputError

# Holds every integer that an identifier read as a fraction can stand for.
WHOLE = DecimalType(38, 0)
# Holds the text of a number, also of one written with decimals.
EXACT = DecimalType(38, 18)


def as_text(value: Column, kind: DataType) -> Column:
    """Return an identifier as a string; a whole number is the same text whatever number type it was read as."""
    if isinstance(kind, DoubleType | FloatType | DecimalType):
        return F.when(value == F.floor(value), value.try_cast(WHOLE).cast("string")).otherwise(value.cast("string"))
    return value.cast("string")


def as_key(rows: DataFrame, column: str, like: DataFrame, name: str) -> Column:
    """Return the key `column` of table `name` in the type that it has in `like`; null where it cannot have that value.

    Raises:
        InputError: no value of the one type is one of the other.
    """
    value, kind, wanted = F.col(column), rows.schema[column].dataType, like.schema[column].dataType
    if kind == wanted:
        return value
    if not all(isinstance(one, StringType | IntegralType | FractionalType) for one in (kind, wanted)):
        raise InputError(
            f"{name}: {column} is {kind.simpleString()}, but {wanted.simpleString()} in the impressions, so no row "
            "would meet another; cast it in the mapping of one of them"
        )
    if isinstance(wanted, StringType):
        return as_text(value, kind)
    if isinstance(wanted, IntegralType) and not isinstance(kind, IntegralType):
        number = value.try_cast(EXACT) if isinstance(kind, StringType) else value
        return F.when(number == F.floor(number), number.try_cast(wanted))
    return value.try_cast(wanted)
