"""What became of every impression that was read, and the limits that a build must hold before it writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.counts import require_equal
from camoe.contracts.errors import InputError
from features.checks import REASONS
from features.duplicates import DUPLICATE
from features.exclusions import EXCLUDED


@dataclass(frozen=True)
class Tally:
    """Rows by fate; each row has one. `quarantined` counts a row under its first reason, `kept` by (day, slot)."""

    read: int
    excluded: Mapping[str, int]
    duplicates: int
    quarantined: Mapping[str, int]
    kept: Mapping[tuple[date, str], int]

    @property
    def rows_kept(self) -> int:
        """Rows for the training table."""
        return sum(self.kept.values())

    @property
    def rows_quarantined(self) -> int:
        """Rows for the quarantine table."""
        return sum(self.quarantined.values())

    def per_day(self) -> dict[date, int]:
        """Kept rows of each day."""
        days: Counter[date] = Counter()
        for (day, _), rows in self.kept.items():
            days[day] += rows
        return dict(sorted(days.items()))

    def require_sum(self) -> None:
        """Raise `CountError` unless the fates add up to the rows read."""
        excluded = sum(self.excluded.values())
        require_equal(
            "rows read against excluded + duplicates + quarantined + kept",
            self.read,
            excluded + self.duplicates + self.rows_quarantined + self.rows_kept,
        )

    def require_usable(self, limit: float, days: Sequence[date]) -> None:
        """Raise `InputError` when over `limit` of the rows not excluded are quarantined, or one of `days` is empty."""
        reasons = ", ".join(f"{name} {rows:,}" for name, rows in self.quarantined.items()) or "none"
        # Excluded rows, such as those of other days, would let a run of a few days pass with all of them broken.
        judged = self.read - sum(self.excluded.values())
        if self.rows_quarantined > limit * judged:
            raise InputError(
                f"{self.rows_quarantined:,} of {judged:,} impressions that no exclusion leaves out would be "
                f"quarantined ({reasons}), more than sources.max_quarantined={limit:g} allows; mend the input or raise "
                "that limit; nothing was written"
            )
        empty = [day.isoformat() for day in days if day not in self.per_day()]
        if empty:
            raise InputError(
                f"no usable impressions on {', '.join(empty)}; add them to the input or change the days in the "
                f"configuration (read {self.read:,}, excluded {dict(self.excluded)}, quarantined: {reasons}); "
                "nothing was written"
            )


def is_kept() -> Column:
    """Whether a judged impression goes on to the training table."""
    return F.col(EXCLUDED).isNull() & ~F.col(DUPLICATE) & (F.size(REASONS) == 0)


def kept(judged: DataFrame) -> DataFrame:
    """The impressions that go on to the training table."""
    return judged.where(is_kept())


def quarantined(judged: DataFrame) -> DataFrame:
    """The impressions that go to the quarantine table."""
    return judged.where(F.col(EXCLUDED).isNull() & ~F.col(DUPLICATE) & (F.size(REASONS) > 0))


def tally(judged: DataFrame) -> Tally:
    """Count fates in one pass. `judged` has `_excluded`, `_duplicate`, `_reasons`, `date` and `slot`."""
    rows = (
        judged.select(
            EXCLUDED,
            DUPLICATE,
            F.get(REASONS, 0).alias("reason"),
            F.when(is_kept(), F.col("date")).alias("day"),
            F.when(is_kept(), F.col("slot")).alias("slot"),
        )
        .groupBy(EXCLUDED, DUPLICATE, "reason", "day", "slot")
        .count()
        .collect()
    )
    excluded: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    cells: Counter[tuple[date, str]] = Counter()
    duplicates = 0
    for row in rows:
        if row[EXCLUDED] is not None:
            excluded[row[EXCLUDED]] += row["count"]
        elif row[DUPLICATE]:
            duplicates += row["count"]
        elif row["reason"] is not None:
            reasons[row["reason"]] += row["count"]
        else:
            cells[row["day"], row["slot"]] += row["count"]
    total = sum(row["count"] for row in rows)
    ordered = (dict(sorted(counter.items())) for counter in (excluded, reasons))
    return Tally(total, next(ordered), duplicates, next(ordered), dict(sorted(cells.items())))
