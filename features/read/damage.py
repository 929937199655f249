"""Rows that cannot be read right: a record that does not parse, and bytes that are no text."""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import AtomicType, StringType, StructField

from features.read.parts import Part
from features.spark.values import quoted

DAMAGE = "_damage"
CORRUPT_RECORD = "corrupt_record"
INVALID_TEXT = "invalid_text"
# The character that Spark puts in the place of bytes that are no UTF-8.
REPLACEMENT = "\ufffd"


def damage(part: Part, columns: Collection[str]) -> Column:
    """Return the reason why a row cannot be read right, null where it can.

    It is `invalid_text` where one of the raw `columns` holds bytes that are no text, else `corrupt_record` where the
    row does not parse.
    """
    fields = [field for field in part.raw.schema.fields if field.name in columns]
    broken = [_no_text(field, part.text) for field in fields if _may_hold_text(field)]
    record = F.coalesce(part.record.contains(REPLACEMENT) | ~F.is_valid_utf8(part.record), F.lit(False))
    no_text = reduce(Column.__or__, broken, record)
    return F.when(no_text, INVALID_TEXT).when(part.record.isNotNull(), CORRUPT_RECORD)


def refused(name: str, where: Column) -> Column:
    """Return a value that fails the query when it is computed: a joined table `name` has a damaged row in `where`."""
    told = F.concat(
        F.lit(f"{name}: a row of "), where, F.lit(" is damaged ("), F.col(DAMAGE), F.lit("); mend it or take it out")
    )
    return F.raise_error(told)


def _may_hold_text(field: StructField) -> bool:
    return isinstance(field.dataType, StringType) or not isinstance(field.dataType, AtomicType)


def _no_text(field: StructField, text: bool) -> Column:
    column = F.col(quoted(field.name))
    if not isinstance(field.dataType, StringType):
        found = F.to_json(column).contains(REPLACEMENT)
    else:
        found = column.contains(REPLACEMENT) if text else ~F.is_valid_utf8(column)
    return F.coalesce(found, F.lit(False))
