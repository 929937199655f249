"""Counts of the outcome log's rows by disposition, and of the labels that came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.runs import LabelCount
from camoe.contracts.sources import Objective
from features.impressions.labels import label_as_of, matures, typed, window_end
from features.impressions.tally import is_kept
from features.read.raw import FOLDER_DAY
from features.read.window import DayWindow

# In the order in which they are tested; each outcome has the first that holds. "used" made a label 1; "not_yet_mature"
# will, once its impression's label is mature at the as-of time of a later run.
DISPOSITIONS = (
    "other_objective",
    "without_impression",
    "impression_not_written",
    "no_outcome",
    "not_known_at_as_of",
    "outside_window",
    "not_yet_mature",
    "used",
)
NAMES_SHOWN = 10


@dataclass(frozen=True)
class LateOutcomes:
    """Of the `rows` of an objective that happened within their windows, `late` were told after the label was mature.

    The last of them `longest_s` seconds after its window had closed.
    """

    rows: int
    late: int
    longest_s: int

    def __str__(self) -> str:
        return (
            f"{self.late:,} of {self.rows:,} outcomes were told after their labels counted as mature; until then these "
            f"were 0; the last came {self.longest_s:,} s after its window: declare report_s"
        )


@dataclass(frozen=True)
class OutcomeLog:
    """Rows of the outcome log: by disposition, in the folder of another day than theirs, and late, by objective."""

    dispositions: Mapping[str, int] = field(default_factory=dict)
    misfiled: int = 0
    late: Mapping[str, LateOutcomes] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """All rows."""
        return sum(self.dispositions.values())

    def require_filed(self, limit: float, what: str) -> None:
        """Raise `InputError` when over `limit` of the rows lie in the folder of another day than theirs by `what`."""
        if self.misfiled > limit * self.read:
            raise InputError(
                f"{self.misfiled:,} of {self.read:,} outcomes lie in the folder of another day than that of {what}, "
                f"more than sources.max_misfiled={limit:g} allows, so that others may lie where the run does not look; "
                "say what the days of the folders are (outcomes.day: event or arrival, days.zone), or raise that "
                "limit; nothing was written"
            )


@dataclass(frozen=True)
class OutcomeTally:
    """The outcome log's rows, and the labels of written impressions by objective and day."""

    log: OutcomeLog
    labels: Mapping[str, Mapping[date, LabelCount]]

    def counts(self) -> dict[str, object]:
        """Return the rows read, those of each disposition, misfiled and late ones, and the positives by objective."""
        positive = {objective: sum(day.positive for day in days.values()) for objective, days in self.labels.items()}
        late = {objective: found.late for objective, found in self.log.late.items()}
        told = {"misfiled": self.log.misfiled, "told_late": late, "positive": positive}
        return {"read": self.log.read, **self.log.dispositions, **told}


def outcome_dispositions(
    judged: DataFrame, outcomes: DataFrame, objectives: Mapping[str, Objective], window: DayWindow, filed_by: str = "ts"
) -> OutcomeLog:
    """Count the rows of the outcome log, in one pass; `judged` as `judged_impressions` gives it.

    `filed_by` is the column of `typed` whose day that of the row's folder has to be.
    """
    # The time of the written row: repeats may differ in it where the payload leaves it out.
    written = F.max(F.when(is_kept(), F.col("ts")))
    as_of = F.max(F.when(is_kept(), label_as_of(window)))
    shown = judged.groupBy("impression_id").agg(
        written.alias("_shown"), F.max(is_kept()).alias("_written"), as_of.alias("_as_of")
    )
    joined = typed(outcomes, judged).join(shown, on="impression_id", how="left")
    name, closes = F.col("objective"), _by_objective(objectives, window_end)
    inside = F.col("_written") & F.col("happened") & F.col("ts").between(F.col("_shown"), closes)
    late = inside & (F.col("available_at") > _by_objective(objectives, matures))
    local = F.from_utc_timestamp(filed_by, window.zone).cast("date")
    counted = (
        joined.groupBy(
            F.when(name.isin(list(objectives)), name).alias("objective"),
            _disposition(objectives).alias("disposition"),
        )
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(local != F.col(FOLDER_DAY)).alias("misfiled"),
            F.count_if(inside).alias("inside"),
            F.count_if(late).alias("late"),
            F.max(F.when(late, F.unix_seconds("available_at") - F.unix_seconds(closes))).alias("longest"),
        )
        .collect()
    )
    return _log_of(counted)


def _log_of(counted: Sequence[Row]) -> OutcomeLog:
    rows: Counter[str] = Counter()
    of: dict[str, list[Row]] = {}
    for row in counted:
        rows[row["disposition"]] += row["rows"]
        of.setdefault(row["objective"], []).append(row)
    late = {
        name: LateOutcomes(
            sum(row["inside"] for row in found),
            sum(row["late"] for row in found),
            max(row["longest"] or 0 for row in found),
        )
        for name, found in sorted((name, found) for name, found in of.items() if name is not None)
    }
    return OutcomeLog(
        {disposition: rows[disposition] for disposition in DISPOSITIONS},
        sum(row["misfiled"] for row in counted),
        {name: found for name, found in late.items() if found.late},
    )


def _by_objective(objectives: Mapping[str, Objective], moment: Callable[[Column, Objective], Column]) -> Column:
    name, shown = F.col("objective"), F.col("_shown")
    return F.coalesce(*[F.when(name == key, moment(shown, objective)) for key, objective in objectives.items()])


def _disposition(objectives: Mapping[str, Objective]) -> Column:
    name, shown, as_of = F.col("objective"), F.col("_shown"), F.col("_as_of")
    inside = F.col("ts").between(shown, _by_objective(objectives, window_end))
    declared = F.coalesce(name.isin(list(objectives)), F.lit(False))
    holds = (
        ~declared,
        F.col("_written").isNull(),
        ~F.col("_written"),
        ~F.col("happened"),
        ~F.coalesce(F.col("known_from") <= as_of, F.lit(False)),
        ~inside,
        _by_objective(objectives, matures) > as_of,
    )
    return F.coalesce(
        *[F.when(one, F.lit(disposition)) for one, disposition in zip(holds, DISPOSITIONS, strict=False)],
        F.lit(DISPOSITIONS[-1]),
    )


def require_positives(
    tally: OutcomeTally, outcomes: DataFrame, objectives: Collection[str], days: Collection[date]
) -> None:
    """Raise `InputError` when one of the `objectives` of the outcome log has labels on the training `days`, all 0."""
    known = {
        name: [tally.labels[name][day].positive for day in days if day in tally.labels[name]] for name in objectives
    }
    without = [name for name, rows in known.items() if rows and not any(rows)]
    if not without:
        return
    found = outcomes.groupBy("objective").count().orderBy(F.desc("count"), "objective").limit(NAMES_SHOWN).collect()
    names = ", ".join(f"'{row['objective']}' {row['count']:,}" for row in found)
    dispositions = ", ".join(f"{disposition} {rows:,}" for disposition, rows in tally.log.dispositions.items() if rows)
    raise InputError(
        f"objective '{without[0]}' has no positive label on the training days; the objectives in the outcome log are "
        f"{names}, and its rows came to {dispositions}; correct the objective's name or window_s, the mapped "
        "objective column "
        "or days.as_of, or take the objective out; nothing was written"
    )
