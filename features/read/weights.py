"""Rows that stand for several impressions, each of which becomes a row of its own."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.schema import label_column
from camoe.contracts.sources import Impressions
from features.read.damage import DAMAGE

# Impressions that a row stands for; null where that is no whole number from 1 to `MOST`.
WEIGHT = "_weight"
MOST = 10_000
COPY = "_copy"


def one_row_each(rows: DataFrame, log: Impressions) -> DataFrame:
    """Return a row for each impression that those of `read_impressions` stand for, the number of each behind its id.

    A row of which nothing tells for how many it stands stays one. In an `aggregated` log the first rows have the label,
    as many as it counts; a count that is no whole number from 0 to the weight becomes a label that is none.
    """
    if log.weight is None:
        return rows
    weight = F.col(WEIGHT).try_cast("double")
    known = F.col(DAMAGE).isNull() & weight.between(1, MOST) & (weight == F.floor(weight))
    weighed = rows.withColumn(WEIGHT, F.when(known, weight.cast("int")))
    each = weighed.withColumn(COPY, F.explode(F.sequence(F.lit(1), F.coalesce(WEIGHT, F.lit(1)))))
    named = F.concat(F.col("impression_id").cast("string"), F.lit("-"), F.col(COPY).cast("string"))
    labels = {label_column(objective): _label(F.col(label_column(objective))) for objective in log.labels}
    return each.withColumns({"impression_id": named, **(labels if log.aggregated else {})}).drop(COPY)


def _label(counted: Column) -> Column:
    number = counted.try_cast("double")
    fits = number.between(0, F.col(WEIGHT)) & (number == F.floor(number))
    return F.when(fits, (F.col(COPY) <= number).cast("tinyint")).when(counted.isNotNull(), F.lit(-1).cast("tinyint"))
