"""Profiles small enough for one machine: a categorical's frequent values, its other ones, the unknown ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.encoder import Encoder
from camoe.contracts.features import FeatureSet

# Values with a cell of their own: the most frequent of the training days.
NAMED = 20
KNOWN, UNKNOWN, MISSING = "known", "unknown", "missing"


@dataclass(frozen=True)
class Cell:
    """Rows of one feature on one day in one cell; without a day, those of the earlier training days together.

    `kind` is known, unknown (a value that the encoder lacks) or missing. `value` is a number's bin, a hashed value's
    cell or a frequent value; None is all other ones of the kind.
    """

    day: date | None
    feature: str
    kind: str
    value: str | None
    rows: int


def profile_cells(
    profile_rows: DataFrame, encoder: Encoder, features: FeatureSet, reference: Sequence[date], days: Sequence[date]
) -> tuple[Cell, ...]:
    """Return the cells of all features: of each of the run's `days`, and of the other days together.

    `reference` are the training days; the others of `profile_rows` are the run's. Cells add up to the profiles' rows.
    """
    vocabularies = features.vocabulary_of
    by_value = F.col("feature").isin(list(vocabularies))
    named = _named(profile_rows.where(by_value & F.col("date").isin(list(reference))))
    known = _known(profile_rows, encoder, vocabularies)
    joined = profile_rows.join(F.broadcast(named), on=["feature", "value"], how="left").join(
        known, on=["feature", "value"], how="left"
    )
    outside = by_value & F.col("_known").isNull()
    kind = F.when(F.col("value").isNull(), MISSING).when(outside, UNKNOWN).otherwise(KNOWN)
    own = F.when(~by_value | F.col("_named"), F.when(~outside, F.col("value")))
    day = F.when(F.col("date").isin(list(days)), F.col("date"))
    counted = (
        joined.select(day.alias("date"), "feature", kind.alias("kind"), own.alias("value"), "rows")
        .groupBy("date", "feature", "kind", "value")
        .agg(F.sum("rows").alias("rows"))
    )
    found = [Cell(*row) for row in counted.collect()]
    return tuple(sorted(found, key=_order))


def _order(cell: Cell) -> tuple[str, date, str, str]:
    return cell.feature, cell.day or date.min, cell.kind, cell.value or ""


def _named(reference_rows: DataFrame) -> DataFrame:
    totals = reference_rows.where("value is not null").groupBy("feature", "value").agg(F.sum("rows").alias("total"))
    order = Window.partitionBy("feature").orderBy(F.desc("total"), "value")
    ranked = totals.withColumn("_rank", F.row_number().over(order)).where(F.col("_rank") <= NAMED)
    return ranked.select("feature", "value", F.lit(True).alias("_named"))


def _known(profile_rows: DataFrame, encoder: Encoder, vocabularies: Mapping[str, str]) -> DataFrame:
    pairs = [(name, value) for name, vocabulary in vocabularies.items() for value in encoder.shown(vocabulary)]
    table = pa.table(
        {"feature": [name for name, _ in pairs], "value": [value for _, value in pairs]},
        schema=pa.schema([("feature", pa.string()), ("value", pa.string())]),
    )
    return profile_rows.sparkSession.createDataFrame(table).withColumn("_known", F.lit(True))
