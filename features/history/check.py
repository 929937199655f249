"""How well each number of the history alone ranks the labels, on the training days and after: a leak shows here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.features import Numeric
from camoe.contracts.schema import label_column
from features.encoding.profile import bin_of

TRAINING, AFTER = "training", "after"
# A number that ranks so well alone tells the label; one that ranks better on the training days by so much, theirs.
TELLS = 0.97
FALL = 0.1
# With fewer positives an area says nothing.
LEAST_POSITIVES = 50


@dataclass(frozen=True)
class Alone:
    """ROC-AUC of one number alone for one objective, by group of days; None where too few labels are known.

    Either direction counts: an area below one half is taken from one.
    """

    feature: str
    objective: str
    training: float | None
    after: float | None

    def told(self) -> dict[str, object]:
        """Return it as the report keeps it."""
        return {**asdict(self), "warning": self.warning}

    @property
    def warning(self) -> str:
        """Reason to take it for a leak; empty where there is none."""
        what = f"{self.feature} alone ranks {self.objective}"
        best = max((area for area in (self.training, self.after) if area is not None), default=0.0)
        if best >= TELLS:
            return f"{what} with an AUC of {best:.3f}: does it know the label?"
        if self.training is not None and self.after is not None and self.training - self.after > FALL:
            return (
                f"{what} with an AUC of {self.training:.3f} on the training days and {self.after:.3f} on the day after"
            )
        return ""


def alone(
    values: DataFrame, numerics: Sequence[Numeric], objectives: Collection[str], training: Collection[date]
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
        Alone(item.name, name, *[_area(cells.get((place, days), []), label_column(name)) for days in (TRAINING, AFTER)])
        for place, item in enumerate(numerics)
        for name in objectives
    )


def _area(cells: Sequence[Mapping[str, int]], label: str) -> float | None:
    """Return the ROC-AUC of cells in the order of their values; pairs within one cell count one half."""
    positives = sum(cell[f"{label}_1"] for cell in cells)
    negatives = sum(cell[f"{label}_0"] for cell in cells)
    if positives < LEAST_POSITIVES or negatives < LEAST_POSITIVES:
        return None
    below, won = 0, 0.0
    for cell in cells:
        won += cell[f"{label}_1"] * (below + cell[f"{label}_0"] / 2)
        below += cell[f"{label}_0"]
    area = won / (positives * negatives)
    return max(area, 1 - area)
