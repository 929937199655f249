"""Coverage of the impressions by the entity tables, positives by day, and slots that the catalogue lacks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from camoe.contracts.runs import LabelCount
from camoe.contracts.schema import label_column
from features.impressions.checks import REASONS, UNKNOWN_SLOT
from features.impressions.tally import quarantined_rows
from features.join.entities import matched_column

PERCENTILES = (0.5, 0.9, 0.99)
# Spark's percentile_approx: the rank of what it returns is off by at most rows / accuracy.
ACCURACY = 10_000
# Slots that are listed by name; the rest is counted together.
NAMED_SLOTS = 20


@dataclass(frozen=True)
class Coverage:
    """Coverage by one entity on one day (None: all days): share of matched impressions, percentiles of the rows' ages.

    `age_s` holds p50, p90 and p99 in seconds, None where no matched row has an age.
    """

    entity: str
    day: date | None
    rows: int
    matched: float
    age_s: tuple[float, ...] | None


def age_column(name: str) -> str:
    """Name the helper column for the age in seconds of the row of entity `name` at the impression."""
    return f"_age_{name}"


def with_ages(joined: DataFrame, names: Collection[str]) -> DataFrame:
    """Add `age_column` of each entity struct."""
    return joined.withColumns({age_column(name): F.col(f"{name}.age_s") for name in names}) if names else joined


def measure_days(
    values: DataFrame, names: Collection[str], objectives: Collection[str]
) -> tuple[tuple[Coverage, ...], dict[str, dict[date, LabelCount]]]:
    """Measure the coverage of each entity, over all days and on each, and count the labels, in one pass.

    `values` has `date`, the entities' `matched_column`s and `age_column`s, and the labels of the `objectives`. These
    are counted by objective, and by day where a label is known.
    """
    made = [column for name in names for column in _measures(name)]
    labels = [
        F.struct(F.sum(label_column(name)).alias("positive"), F.count(label_column(name)).alias("known")).alias(
            label_column(name)
        )
        for name in objectives
    ]
    rows = values.rollup("date").agg(F.count(F.lit(1)).alias("rows"), *made, *labels).collect()
    ordered = sorted(rows, key=lambda row: (row["date"] is not None, row["date"] or date.min))
    return _coverage(ordered, names), {
        name: {
            row["date"]: LabelCount(**row[label_column(name)].asDict())
            for row in ordered
            if row["date"] is not None and row[label_column(name)]["known"]
        }
        for name in objectives
    }


def _coverage(rows: Sequence[Row], names: Collection[str]) -> tuple[Coverage, ...]:
    return tuple(
        Coverage(
            name,
            row["date"],
            row["rows"],
            row[matched_column(name)],
            None if row[age_column(name)] is None else tuple(row[age_column(name)]),
        )
        for name in names
        for row in rows
        if row["rows"]
    )


def unknown_slots(judged: DataFrame) -> dict[str, int]:
    """Count quarantined rows by a slot that the catalogue lacks, the most frequent first, the rest as one."""
    strange = quarantined_rows(judged).where(F.array_contains(REASONS, UNKNOWN_SLOT))
    counted = strange.groupBy("slot").count().orderBy(F.desc("count"), "slot")
    named = {row["slot"]: row["count"] for row in counted.limit(NAMED_SLOTS).collect()}
    if len(named) == NAMED_SLOTS:
        rest = strange.count() - sum(named.values())
        return {**named, "(all others)": rest} if rest else named
    return named


def _measures(name: str) -> tuple[Column, Column]:
    age = F.percentile_approx(age_column(name), list(PERCENTILES), ACCURACY)
    return F.avg(F.col(matched_column(name)).cast("double")).alias(matched_column(name)), age.alias(age_column(name))
