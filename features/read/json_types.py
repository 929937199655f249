"""Types of JSON fields: those that Spark infers, but for numbers of mixed kinds, which are text as they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat

from pyspark.sql import Column, DataFrameReader
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, StringType, StructField, StructType

from features.spark.values import quoted

WHOLE_NUMBER = "^-?[0-9]+$"


def as_written(reader: DataFrameReader, places: Sequence[str], inferred: StructType) -> StructType:
    """Return the `inferred` types with text for each double of which some values are written as whole numbers.

    Spark makes one double of 7 and 7.0, and of an identifier beyond 2**53 that of another. The files are read for this
    only where something is inferred to be a double.
    """
    found = [one for field in inferred.fields for one in _whole(F.col(quoted(field.name)), field.dataType)]
    if not found:
        return inferred
    # As text a number is what stands in the file.
    texts = reader.schema(_struct(inferred, repeat(True))).load(list(places))
    (mixed,) = texts.select(*[F.max(one) for one in found]).collect()
    return _struct(inferred, iter(mixed))


def _whole(value: Column, kind: DataType) -> list[Column]:
    """Return of each double within `kind`, in order, whether the text of `value` has a whole number there."""
    if isinstance(kind, DoubleType):
        return [value.rlike(WHOLE_NUMBER)]
    if isinstance(kind, StructType):
        return [one for field in kind.fields for one in _whole(value.getField(field.name), field.dataType)]
    if isinstance(kind, ArrayType):
        return [_any_whole(value, kind.elementType, place) for place in range(_count(kind.elementType))]
    return []


def _any_whole(values: Column, kind: DataType, place: int) -> Column:
    return F.exists(values, lambda value: _whole(value, kind)[place])


def _count(kind: DataType) -> int:
    return len(_whole(F.lit(None), kind))


def _struct(kind: StructType, as_text: Iterator[bool | None]) -> StructType:
    return StructType([StructField(field.name, _retyped(field.dataType, as_text)) for field in kind.fields])


def _retyped(kind: DataType, as_text: Iterator[bool | None]) -> DataType:
    if isinstance(kind, DoubleType):
        return StringType() if next(as_text) else kind
    if isinstance(kind, StructType):
        return _struct(kind, as_text)
    return ArrayType(_retyped(kind.elementType, as_text)) if isinstance(kind, ArrayType) else kind
