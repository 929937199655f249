"""Rows of one impression_id: repeats of the same content, or contradictions."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError
from camoe.contracts.layout import label_column
from camoe.contracts.sources import Impressions
from features.checks import REASONS, add_reason
from features.exclusions import EXCLUDED
from features.failures import resolve
from features.join.versions import comparable
from features.raw import RAW

DUPLICATE = "_duplicate"
CONFLICT = "conflicting_id"


def payload_columns(table: Impressions) -> tuple[str, ...]:
    """Columns in which duplicates agree; `payload` may name mapped columns and objectives the log labels.

    Raises:
        ConfigError: it names neither.
    """
    names = {name: name for name in table.columns} | {name: label_column(name) for name in table.labels}
    unknown = [name for name in table.payload or () if name not in names]
    if unknown:
        raise ConfigError(f"the payload names '{unknown[0]}', which the impressions map neither as column nor as label")
    return tuple(names[name] for name in table.payload or names)


def mark_duplicates(impressions: DataFrame, payload: Sequence[str], survivor: Sequence[str]) -> DataFrame:
    """Add `_duplicate`, true for all but one of the rows of an id that agree in `payload`.

    Rows of an id that disagree all get the reason conflicting_id and none is a duplicate. The row that survives is one
    with the fewest reasons; among those the first by the expressions `survivor` over the mapped columns, ascending with
    nulls first, and among equals the first by raw row; it does not depend on the order of the input.

    Raises:
        InputError: an expression of `survivor` does not parse or names a column that the impressions do not map.
    """
    mapped = impressions.drop(REASONS, RAW, EXCLUDED)
    order = resolve(mapped, {f"survivor {text}": text for text in survivor}, "the survivor of duplicate impressions")
    content = F.struct(*[comparable(F.col(name), impressions.schema[name].dataType) for name in payload])
    ordered = Window.partitionBy("impression_id").orderBy(content, F.size(REASONS), *order.values(), F.col(RAW))
    whole = ordered.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    # Sorted by payload: the rows agree exactly when the first and the last do.
    ranked = impressions.withColumns(
        {
            "_rank": F.row_number().over(ordered),
            "_agree": F.first(content).over(whole).eqNullSafe(F.last(content).over(whole)),
        }
    )
    reasons = add_reason(~F.col("_agree"), CONFLICT)
    duplicate = F.col("_agree") & (F.col("_rank") > 1)
    return ranked.withColumns({DUPLICATE: duplicate, REASONS: reasons}).drop("_rank", "_agree")
