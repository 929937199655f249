"""How well each number of the history alone ranks the labels, on the training days and after: a leak shows here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.features import Numeric
from camoe.contracts.history import Leaks
from camoe.contracts.schema import label_column
from features.encoding.profile import bin_of

TRAINING, AFTER = "training", "after"


@dataclass(frozen=True)
class Alone:
    """ROC-AUC of one number alone for one objective, by group of days; None where too few labels are known.

    Either direction counts: an area below one half is taken from one. `warning`: reason to take it for a leak, empty
    where there is none.
    """

    feature: str
    objective: str
    training: float | None
    after: float | None
    warning: str


def alone(
    values: DataFrame,
    numerics: Sequence[Numeric],
    objectives: Collection[str],
    training: Collection[date],
    leaks: Leaks,
) -> tuple[Alone, ...]:
    """Return the areas of each of the `numerics` on the `training` days of `values` and on the first day after them.

    In one Spark job, over the bins of the profiles (9 % wide), of which the values of one count as equal.
    """
    last = max(training, default=date.max)
    later = [row[0] for row in values.where(F.col("date") > F.lit(last)).agg(F.min("date")).collect() if row[0]]
    group = F.when(F.col("date").isin(list(training)), TRAINING).when(F.col("date").isin(later), AFTER)
    pairs = [part for place, item in enumerate(numerics) for part in (F.lit(place), bin_of(item).cast("int"))]
    labels = [label_column(name) for name in objectives]
    stacked = values.where(group.isNotNull()).select(
        group.alias("days"), *labels, F.stack(F.lit(len(numerics)), *pairs).alias("place", "bin")
    )
    sums = [
        column
        for name in labels
        for column in (F.count_if(F.col(name) == 1).alias(f"{name}_1"), F.count_if(F.col(name) == 0).alias(f"{name}_0"))
    ]
    cells: dict[tuple[int, str], list[Mapping[str, int]]] = {}
    counted = stacked.where(F.col("bin").isNotNull()).groupBy("place", "days", "bin").agg(*sums).collect()
    for row in sorted(counted, key=lambda row: row["bin"]):
        cells.setdefault((row["place"], row["days"]), []).append(row.asDict())
    return tuple(
        _alone(item.name, name, [cells.get((place, days), []) for days in (TRAINING, AFTER)], leaks)
        for place, item in enumerate(numerics)
        for name in objectives
    )


def _alone(feature: str, objective: str, groups: Sequence[Sequence[Mapping[str, int]]], leaks: Leaks) -> Alone:
    training, after = (_area(cells, label_column(objective), leaks.positives) for cells in groups)
    what, warning = f"{feature} alone ranks {objective} with an AUC of", ""
    best = max((area for area in (training, after) if area is not None), default=0.0)
    if best >= leaks.auc:
        warning = f"{what} {best:.3f}: does it know the label?"
    elif training is not None and after is not None and training - after > leaks.fall:
        warning = f"{what} {training:.3f} on the training days and {after:.3f} on the day after"
    return Alone(feature, objective, training, after, warning)


def _area(cells: Sequence[Mapping[str, int]], label: str, least: int) -> float | None:
    """Return the ROC-AUC of cells in the order of their values; pairs within one cell count one half."""
    positives = sum(cell[f"{label}_1"] for cell in cells)
    negatives = sum(cell[f"{label}_0"] for cell in cells)
    if min(positives, negatives) < least:
        return None
    below, won = 0, 0.0
    for cell in cells:
        won += cell[f"{label}_1"] * (below + cell[f"{label}_0"] / 2)
        below += cell[f"{label}_0"]
    area = won / (positives * negatives)
    return max(area, 1 - area)
