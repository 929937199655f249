"""Rows that cannot be read right: a record that does not parse, and bytes that are no text."""

from __future__ import annotations

from collections.abc import Collection, Sequence

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
    told = F.coalesce(part.record.contains(REPLACEMENT) | ~F.is_valid_utf8(part.record), F.lit(False))
    no_text = told | _no_text(fields, replaced=part.text)
    return F.when(no_text, INVALID_TEXT).when(part.record.isNotNull(), CORRUPT_RECORD)


def refused(name: str, where: Column) -> Column:
    """Return a value that fails the query when it is computed: a joined table `name` has a damaged row in `where`."""
    told = F.concat(
        F.lit(f"{name}: a row of "), where, F.lit(" is damaged ("), F.col(DAMAGE), F.lit("); mend it or take it out")
    )
    return F.raise_error(told)


def _no_text(fields: Sequence[StructField], *, replaced: bool) -> Column:
    """Return whether one of the columns holds bytes that are no text, `replaced` by Spark or as they were."""
    plain = [F.col(quoted(field.name)) for field in fields if isinstance(field.dataType, StringType)]
    nested = [F.to_json(quoted(field.name)) for field in fields if not isinstance(field.dataType, AtomicType)]
    if replaced:
        return _joined([*plain, *nested]).contains(REPLACEMENT)
    return ~F.is_valid_utf8(_joined(plain)) | _joined(nested).contains(REPLACEMENT)


def _joined(texts: Sequence[Column]) -> Column:
    # One expression over all columns: Spark would take a time that grows by the square to simplify a chain of ORs. No
    # character's bytes go on beyond a line break, and nulls are left out.
    return F.concat_ws("\n", *texts)
