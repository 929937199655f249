"""Counts of the impressions read by disposition, and the limits that a build must keep before it writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.places.counts import require_equal
from features.impressions.checks import REASONS, UNKNOWN_SLOT
from features.impressions.duplicates import DUPLICATE
from features.impressions.exclusions import EXCLUDED, OF_THE_RUN, OTHER_FOLDER


@dataclass(frozen=True)
class Tally:
    """Rows by disposition; each row has one. `quarantined` counts a row under its first reason, `kept` by (day, slot).

    `dated` are those with a date that no exclusion leaves out; `undated` is the part of `quarantined` without one, and
    `of_unknown_slots` counts its rows of slots that the catalogue lacks.
    """

    read: int
    excluded: Mapping[str, int]
    duplicates: int
    quarantined: Mapping[str, int]
    kept: Mapping[tuple[date, str], int]
    dated: int
    undated: Mapping[str, int]
    of_unknown_slots: int = 0

    @property
    def rows_kept(self) -> int:
        """Rows for the training table."""
        return sum(self.kept.values())

    @property
    def rows_quarantined(self) -> int:
        """Rows for the quarantine table."""
        return sum(self.quarantined.values())

    def per_day(self) -> dict[date, int]:
        """Return the kept rows of each day."""
        days: Counter[date] = Counter()
        for (day, _), rows in self.kept.items():
            days[day] += rows
        return dict(sorted(days.items()))

    def require_sum(self) -> None:
        """Raise `CountError` unless the dispositions add up to the rows read."""
        excluded = sum(self.excluded.values())
        require_equal(
            "rows read against excluded + duplicates + quarantined + kept",
            self.read,
            excluded + self.duplicates + self.rows_quarantined + self.rows_kept,
        )

    def require_filed(self, limit: float, zone: str) -> None:
        """Raise `InputError` when over `limit` of the rows lie in the folder of another day of `zone` than theirs."""
        other = self.excluded.get(OTHER_FOLDER, 0)
        if other > limit * self.read:
            raise InputError(
                f"{other:,} of {self.read:,} impressions lie in the folder of another day than theirs in {zone}, more "
                f"than sources.max_misfiled={limit:g} allows, so hours of the run's days would be missing; file them "
                "by the days of that zone, set days.zone to that of the folders, or raise that limit; nothing was "
                "written"
            )

    def require_usable(self, limit: float, days: Sequence[date]) -> None:
        """Raise `InputError` when over `limit` of the rows of `days` or of the log are quarantined, or a day is empty.

        Rows of `days` are compared with the rows of `days`: the others would let a run of a few days pass with all of
        them broken. Rows without a date may be of any day that was read, so they are compared with all that were read.
        """
        dated = Counter(self.quarantined)
        dated.subtract(self.undated)
        whole = self.read - sum(rows for name, rows in self.excluded.items() if name not in OF_THE_RUN)
        above = [
            f"{sum(refused.values()):,} of {rows:,} {which} ({_listed(refused)})"
            for which, refused, rows in (
                ("impressions of the run's days that no exclusion leaves out", dated, self.dated),
                ("impressions read, which have no date, so that they may be of any day", self.undated, whole),
            )
            if sum(refused.values()) > limit * rows
        ]
        if above:
            raise InputError(
                f"{' and '.join(above)} would be quarantined, more than sources.max_quarantined={limit:g} allows; mend "
                "the input or raise that limit; nothing was written"
            )
        empty = [day.isoformat() for day in days if day not in self.per_day()]
        if empty:
            raise InputError(
                f"no usable impressions on {', '.join(empty)}; add them to the input or change the days in the "
                f"configuration (read {self.read:,}, excluded {dict(self.excluded)}, quarantined: "
                f"{_listed(self.quarantined)}); "
                "nothing was written"
            )


def _listed(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {rows:,}" for name, rows in reasons.items() if rows) or "none"


def is_kept() -> Column:
    """Return whether a judged impression goes on to the training table."""
    return F.col(EXCLUDED).isNull() & ~F.col(DUPLICATE) & (F.size(REASONS) == 0)


def kept_rows(judged: DataFrame) -> DataFrame:
    """Return the impressions that go on to the training table."""
    return judged.where(is_kept())


def quarantined_rows(judged: DataFrame) -> DataFrame:
    """Return the impressions that go to the quarantine table."""
    return judged.where(F.col(EXCLUDED).isNull() & ~F.col(DUPLICATE) & (F.size(REASONS) > 0))


def count_impressions(judged: DataFrame) -> Tally:
    """Count the rows of each disposition in one pass.

    `judged` has `_excluded`, `_duplicate`, `_reasons`, `date` and `slot`.
    """
    rows = (
        judged.select(
            EXCLUDED,
            DUPLICATE,
            F.get(REASONS, 0).alias("reason"),
            F.col("date").isNotNull().alias("dated"),
            F.when(is_kept(), F.col("date")).alias("day"),
            F.when(is_kept(), F.col("slot")).alias("slot"),
            F.array_contains(REASONS, UNKNOWN_SLOT).alias("strange"),
        )
        .groupBy(EXCLUDED, DUPLICATE, "reason", "dated", "day", "slot", "strange")
        .count()
        .collect()
    )
    excluded: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    undated: Counter[str] = Counter()
    cells: Counter[tuple[date, str]] = Counter()
    duplicates = of_unknown_slots = 0
    for row in rows:
        if row[EXCLUDED] is not None:
            excluded[row[EXCLUDED]] += row["count"]
        elif row[DUPLICATE]:
            duplicates += row["count"]
        elif row["reason"] is not None:
            reasons[row["reason"]] += row["count"]
            of_unknown_slots += row["count"] if row["strange"] else 0
            if not row["dated"]:
                undated[row["reason"]] += row["count"]
        else:
            cells[row["day"], row["slot"]] += row["count"]
    return Tally(
        read=sum(row["count"] for row in rows),
        excluded=dict(sorted(excluded.items())),
        duplicates=duplicates,
        quarantined=dict(sorted(reasons.items())),
        kept=dict(sorted(cells.items())),
        dated=sum(row["count"] for row in rows if row[EXCLUDED] is None and row["dated"]),
        undated=dict(sorted(undated.items())),
        of_unknown_slots=of_unknown_slots,
    )
