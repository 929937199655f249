"""Counts of the outcome log's rows by disposition, and of the labels that came of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Objective
from features.impressions.labels import typed, window_end
from features.impressions.tally import is_kept

# In the order in which they are tested; each outcome has the first that holds. "used" made a label 1; "not_yet_mature"
# will, once the window of its impression has closed by the as-of time of a later run.
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
class OutcomeTally:
    """Outcome rows by disposition, and written impressions with label 1 by objective and day."""

    dispositions: Mapping[str, int]
    positive: Mapping[str, Mapping[date, int]]

    def counts(self) -> dict[str, object]:
        """Return the rows read, those of each disposition, and the positives of all days by objective."""
        positive = {objective: sum(days.values()) for objective, days in self.positive.items()}
        return {"read": sum(self.dispositions.values()), **self.dispositions, "positive": positive}


def outcome_dispositions(
    judged: DataFrame, outcomes: DataFrame, objectives: Mapping[str, Objective], as_of: datetime
) -> dict[str, int]:
    """Count the rows of the outcome log by disposition, in one pass; `judged` as `judged_impressions` gives it."""
    # The time of the written row: repeats may differ in it where the payload leaves it out.
    written = F.max(F.when(is_kept(), F.col("ts")))
    shown = judged.groupBy("impression_id").agg(written.alias("_shown"), F.max(is_kept()).alias("_written"))
    joined = typed(outcomes, judged, as_of).join(shown, on="impression_id", how="left")
    counted = joined.groupBy(_disposition(objectives, as_of).alias("disposition")).count().collect()
    rows = {row["disposition"]: row["count"] for row in counted}
    return {disposition: rows.get(disposition, 0) for disposition in DISPOSITIONS}


def _disposition(objectives: Mapping[str, Objective], as_of: datetime) -> Column:
    name, shown = F.col("objective"), F.col("_shown")
    ends = [F.when(name == key, window_end(shown, objective)) for key, objective in objectives.items()]
    closes = F.coalesce(*ends)
    inside = F.col("ts").between(shown, closes)
    declared = F.coalesce(name.isin(list(objectives)), F.lit(False))
    holds = (
        ~declared,
        F.col("_written").isNull(),
        ~F.col("_written"),
        ~F.col("happened"),
        ~F.col("known"),
        ~inside,
        closes > F.lit(as_of),
    )
    return F.coalesce(
        *[F.when(one, F.lit(disposition)) for one, disposition in zip(holds, DISPOSITIONS, strict=False)],
        F.lit(DISPOSITIONS[-1]),
    )


def require_positives(
    tally: OutcomeTally, outcomes: DataFrame, objectives: Collection[str], days: Collection[date]
) -> None:
    """Raise `InputError` when one of the `objectives` of the outcome log has labels on the training `days`, all 0."""
    known = {name: [tally.positive[name][day] for day in days if day in tally.positive[name]] for name in objectives}
    without = [name for name, rows in known.items() if rows and not any(rows)]
    if not without:
        return
    found = outcomes.groupBy("objective").count().orderBy(F.desc("count"), "objective").limit(NAMES_SHOWN).collect()
    names = ", ".join(f"'{row['objective']}' {row['count']:,}" for row in found)
    dispositions = ", ".join(f"{disposition} {rows:,}" for disposition, rows in tally.dispositions.items() if rows)
    raise InputError(
        f"objective '{without[0]}' has no positive label on the training days; the objectives in the outcome log are "
        f"{names}, and its rows came to {dispositions}; correct the objective's name or window_s, the mapped "
        "objective column "
        "or days.as_of, or take the objective out; nothing was written"
    )
