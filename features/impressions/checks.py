"""Checks on single impressions: every reason for which a row cannot be used."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.schema import IMPRESSION_KEYS, label_column
from camoe.contracts.slots import SlotCatalogue
from features.read.damage import DAMAGE
from features.read.weights import WEIGHT
from features.spark.values import as_instant

REASONS = "_reasons"
INVALID_LABEL = "invalid_label"
UNKNOWN_SLOT = "unknown_slot"


def check(impressions: DataFrame, slots: SlotCatalogue, objectives: Collection[str]) -> DataFrame:
    """Return typed impressions with `_reasons`, an array of what is wrong with each (empty: nothing).

    `ts` becomes a timestamp, `slot` a string and `label_<objective>` a tinyint of 0, 1 or null; a value that cannot be
    cast becomes null and gives a reason. Reasons: null_<key>, null_slot, unparsable_ts, invalid_weight, unknown_slot,
    invalid_label; or the `_damage` alone (corrupt_record, invalid_text) of a row that could not be read right.
    """
    ts = as_instant(F.col("ts"))
    slot = F.col("slot").cast("string")
    found = [_when(F.col(key).isNull(), f"null_{key}") for key in (*IMPRESSION_KEYS, "slot")]
    found.append(_when(F.col("ts").isNotNull() & ts.isNull(), "unparsable_ts"))
    if WEIGHT in impressions.columns:
        found.append(_when(F.col(WEIGHT).isNull(), "invalid_weight"))
    found.append(_when(~slot.isin([item.id for item in slots.slots]), UNKNOWN_SLOT))
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


def add_reason(condition: Column, reason: str) -> Column:
    """Return `_reasons` with `reason` added where `condition` holds (null: it does not)."""
    appended = F.array_union(F.col(REASONS), F.array(F.lit(reason)))
    return F.when(condition, appended).otherwise(F.col(REASONS))


def _when(condition: Column, reason: str) -> Column:
    return F.when(condition, F.lit(reason))


def _as_label(value: Column) -> Column:
    number = value.try_cast("double")
    return F.when(number.isin(0.0, 1.0), number.cast("tinyint"))
