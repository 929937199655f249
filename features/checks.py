"""Checks on single impressions: every reason for which a row cannot be used."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.layout import KEYS, label_column
from camoe.contracts.slots import SlotCatalogue
from features.damage import DAMAGE

REASONS = "_reasons"
INVALID_LABEL = "invalid_label"
# Every instant between these has a date of the years 1 to 9999 in every zone.
FIRST_INSTANT = "0001-01-02 00:00:00"
LAST_INSTANT = "9999-12-30 23:59:59.999999"


def check(impressions: DataFrame, slots: SlotCatalogue, objectives: Collection[str]) -> DataFrame:
    """Typed impressions with `_reasons`, an array of what is wrong with each (empty: nothing).

    `ts` becomes a timestamp, `slot` a string and `label_<objective>` a tinyint of 0, 1 or null; what cannot be
    cast is null beside its reason. Reasons: null_<key>, null_slot, unparsable_ts, unknown_slot, invalid_label; or the
    `_damage` alone (corrupt_record, invalid_text) of a row that could not be read right.
    """
    ts = as_instant(F.col("ts"))
    slot = F.col("slot").cast("string")
    found = [_when(F.col(key).isNull(), f"null_{key}") for key in (*KEYS, "slot")]
    found.append(_when(F.col("ts").isNotNull() & ts.isNull(), "unparsable_ts"))
    found.append(_when(~slot.isin([item.id for item in slots.slots]), "unknown_slot"))
    labels = {label_column(objective): F.col(label_column(objective)) for objective in objectives}
    bad = [label.isNotNull() & _as_label(label).isNull() for label in labels.values()]
    found.append(_when(F.array_contains(F.array(F.lit(False), *bad), True), INVALID_LABEL))
    return impressions.withColumns(
        {
            REASONS: F.when(F.col(DAMAGE).isNotNull(), F.array(DAMAGE)).otherwise(F.array_compact(F.array(*found))),
            "ts": ts,
            "slot": slot,
            **{name: _as_label(label) for name, label in labels.items()},
        }
    )


def as_instant(value: Column) -> Column:
    """The value as a timestamp; null where it is none, or lies outside the years 1 to 9999 (less a day at each end).

    Spark's timestamps reach some 290,000 years further, where a change of zone overflows: nanoseconds read as
    microseconds come to lie there.
    """
    moment = value.try_cast("timestamp")
    return F.when(moment == in_calendar(moment), moment)


def in_calendar(moment: Column) -> Column:
    """The timestamp, or the end of the years 1 to 9999 (less a day) that it lies beyond: its day can be told."""
    first, last = (F.lit(text).cast("timestamp") for text in (FIRST_INSTANT, LAST_INSTANT))
    return F.when(moment < first, first).when(moment > last, last).otherwise(moment)


def add_reason(condition: Column, reason: str) -> Column:
    """`_reasons` with one more where `condition` holds (null: does not)."""
    appended = F.array_union(F.col(REASONS), F.array(F.lit(reason)))
    return F.when(condition, appended).otherwise(F.col(REASONS))


def _when(condition: Column, reason: str) -> Column:
    return F.when(condition, F.lit(reason))


def _as_label(value: Column) -> Column:
    number = value.try_cast("double")
    return F.when(number.isin(0.0, 1.0), number.cast("tinyint"))
