"""Rows of one impression_id: repeats of the same content, or contradictions."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError
from camoe.contracts.schema import label_column
from camoe.contracts.sources import Impressions
from features.impressions.checks import REASONS, add_reason
from features.impressions.exclusions import EXCLUDED
from features.read.raw import FOLDER_DAY, RAW, RAW_HASH
from features.read.weights import WEIGHT
from features.spark.expressions import resolve
from features.spark.values import comparable

DUPLICATE = "_duplicate"
DAY_NUMBER = "_day"
CONFLICT = "conflicting_id"


def payload_columns(table: Impressions) -> tuple[str, ...]:
    """Return the columns in which duplicates agree: those of `payload`, or all mapped columns and labels; the weight.

    `payload` may name mapped columns and objectives that the log labels.

    Raises:
        ConfigError: it names something else.
    """
    names = {name: name for name in table.columns} | {name: label_column(name) for name in table.labels}
    unknown = [name for name in table.payload or () if name not in names]
    if unknown:
        raise ConfigError(f"the payload names '{unknown[0]}', which the impressions map neither as column nor as label")
    weight = () if table.weight is None else (WEIGHT,)
    return (*(names[name] for name in table.payload or names), *weight)


def mark_duplicates(
    impressions: DataFrame, payload: Sequence[str], survivor: Sequence[str], reach: int | None = None
) -> DataFrame:
    """Add `_duplicate`, true for repeats of a row that is kept.

    A row is compared with the rows of its id on its own `date` and on the `reach` days before (None: all before), never
    with later ones, so that no later day changes the disposition of a row. Unless all of these agree in `payload`,
    it gets the reason conflicting_id and is no duplicate. Else it is one where an earlier day has a row without
    reasons, and where its own day has one to be preferred: one with fewer reasons, then the first by the expressions
    `survivor` over the mapped columns, ascending with nulls first, and among equals the first by the hash of its
    raw row.

    Raises:
        InputError: an expression of `survivor` does not parse or names a column that the impressions do not map.
    """
    mapped = impressions.drop(REASONS, RAW, RAW_HASH, EXCLUDED, FOLDER_DAY, WEIGHT)
    order = resolve(mapped, {f"survivor {text}": text for text in survivor}, "the survivor of duplicate impressions")
    content = F.struct(*[comparable(F.col(name), impressions.schema[name].dataType) for name in payload])
    # By id first: windows over the ids and over the days of each then need no other shuffle.
    rows = impressions.withColumn(DAY_NUMBER, F.unix_date("date")).repartition("impression_id")
    ordered = Window.partitionBy("impression_id", DAY_NUMBER).orderBy(
        content, F.size(REASONS), *order.values(), F.col(RAW_HASH)
    )
    whole = ordered.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    ranked = rows.withColumns(
        {
            "_rank": F.row_number().over(ordered),
            # Sorted by payload: the rows of a day agree exactly when the first and the last do.
            "_agree": F.first(content).over(whole).eqNullSafe(F.last(content).over(whole)),
        }
    )
    # One entry a day, however many rows it has.
    told = F.struct(DAY_NUMBER, content.alias("content"), "_agree", (F.size(REASONS) == 0).alias("sound"))
    days = F.collect_list(F.when(F.col("_rank") == 1, told)).over(Window.partitionBy("impression_id"))
    judged = ranked.withColumn("_days", _reached(days, reach))
    agree = F.forall("_days", lambda day: day["_agree"] & day["content"].eqNullSafe(content))
    repeated = F.exists("_days", lambda day: day["sound"] & (day[DAY_NUMBER] < F.col(DAY_NUMBER)))
    duplicate = agree & (repeated | (F.col("_rank") > 1))
    marked = judged.withColumns({DUPLICATE: duplicate, REASONS: add_reason(~agree, CONFLICT)})
    return marked.drop("_rank", "_agree", "_days", DAY_NUMBER)


def _reached(days: Column, reach: int | None) -> Column:
    """Return those of `days` that are the row's own or lie up to `reach` days before it."""
    own = F.col(DAY_NUMBER)
    first = F.lit(None) if reach is None else own - reach
    return F.filter(days, lambda day: (day[DAY_NUMBER] <= own) & F.coalesce(day[DAY_NUMBER] >= first, F.lit(True)))
