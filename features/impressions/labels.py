"""Labels from an outcome log: joined by impression_id within each objective's window, as known at one time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.schema import label_column
from camoe.contracts.sources import Objective, Sources
from features.impressions.checks import INVALID_LABEL, REASONS, add_reason
from features.read.raw import FOLDER_DAY, read_outcome_log
from features.read.window import DayWindow
from features.spark.keys import as_key
from features.spark.values import as_instant


def logged_objectives(sources: Sources) -> dict[str, Objective]:
    """Return the objectives whose labels come from the outcome log."""
    return {name: item for name, item in sources.objectives.items() if name not in sources.impressions.labels}


def read_outcomes(spark: SparkSession, folder: Path, sources: Sources, window: DayWindow) -> DataFrame | None:
    """Read the mapped outcome log, None where no label comes from one. Raises as `read_table` does."""
    if sources.outcomes is None or not logged_objectives(sources):
        return None
    return read_outcome_log(spark, folder, sources, sources.outcomes, window)


def label(
    impressions: DataFrame, outcomes: DataFrame, objectives: Mapping[str, Objective], window: DayWindow
) -> DataFrame:
    """Add `label_<objective>` and `_settled_<objective>` (tinyint) for each objective; rows out = rows in.

    Each as of its day's time. Null: the window [ts, ts + window_s] had not closed by then for as long as outcomes take
    to be told, whatever had happened: if a label were 1 before and 0 only after that, recent days would be all
    positive. 1: an outcome within the window that was known (available_at, else its ts, not after it). 0: none.
    Outcomes with an unparsable available_at, or known by then with a null or unparsable ts or a mapped `value` other
    than 0 and 1, make the impression invalid_label; a `value` of 0 is no outcome.

    `_settled_<objective>` is what was known at the instant when the label matured, whatever came later; null where an
    outcome that is invalid by then leaves it open.
    """
    joined = impressions.join(_collected(typed(outcomes, impressions)), on="impression_id", how="left")
    as_of = label_as_of(window)
    labels = {label_column(name): _label(name, objective, as_of) for name, objective in objectives.items()}
    broken = F.exists("_outcomes", lambda one: invalid(one, as_of) & one.objective.isin(list(objectives)))
    settled = {settled_column(name): _settled(name, objective) for name, objective in objectives.items()}
    return joined.withColumns({**labels, **settled, REASONS: add_reason(broken, INVALID_LABEL)}).drop("_outcomes")


def settled_column(objective: str) -> str:
    """Name the helper column of what was known of an objective when it matured."""
    return f"_settled_{objective}"


def label_as_of(window: DayWindow) -> Column:
    """Return the time as of which the labels of an impression of `date` are taken."""
    days: dict[datetime, list[date]] = {}
    for day in window.days:
        days.setdefault(window.label_as_of(day), []).append(day)
    cuts = [F.when(F.col("date").isin(some), F.lit(cut)) for cut, some in days.items() if cut != window.as_of]
    return F.coalesce(*cuts, F.lit(window.as_of))


def typed(outcomes: DataFrame, impressions: DataFrame) -> DataFrame:
    """Return the outcomes with typed columns.

    These are `_folder_day`, `impression_id`, `objective`, `ts` (timestamp), `happened` (its value, where one is mapped,
    is 1), `available_at`, `known_from` (that, else `ts`), `timeless` (when it was known is not told) and `unfit` (its
    `ts` or value is none). The id has the type that it has in `impressions`, null where it does not fit: no impression
    can have it then.
    """
    ts = as_instant(F.col("ts"))
    told = F.col("available_at") if "available_at" in outcomes.columns else F.lit(None).cast("timestamp")
    available = told.try_cast("timestamp")
    value = F.col("value").try_cast("double") if "value" in outcomes.columns else F.lit(1.0)
    is_label = F.coalesce(value.isin(0.0, 1.0), F.lit(False))
    known_from = F.coalesce(available, ts)
    folder = F.col(FOLDER_DAY) if FOLDER_DAY in outcomes.columns else F.lit(None).cast("date")
    return outcomes.select(
        folder.alias(FOLDER_DAY),
        as_key(outcomes, "impression_id", impressions, "outcomes").alias("impression_id"),
        F.col("objective").cast("string").alias("objective"),
        ts.alias("ts"),
        F.coalesce(value == 1, F.lit(False)).alias("happened"),
        available.alias("available_at"),
        known_from.alias("known_from"),
        (known_from.isNull() | (told.isNotNull() & available.isNull())).alias("timeless"),
        (ts.isNull() | ~is_label).alias("unfit"),
    )


def known(outcome: Column, as_of: Column) -> Column:
    """Return whether the `outcome`, a struct of what `typed` gives, was known at `as_of`."""
    return F.coalesce(outcome.known_from <= as_of, F.lit(False))


def invalid(outcome: Column, as_of: Column) -> Column:
    """Return whether the `outcome` makes its impression invalid.

    One that came later must not decide about a row; one without a time may have come at any.
    """
    return outcome.timeless | (known(outcome, as_of) & outcome.unfit)


def window_end(shown: Column, objective: Objective) -> Column:
    """Return the last instant at which an outcome of `objective` counts for an impression of the time `shown`."""
    return shown + F.make_dt_interval(secs=F.lit(objective.window_s))


def matures(shown: Column, objective: Objective) -> Column:
    """Return the instant from which the outcomes of `objective` are all told for an impression of the time `shown`."""
    return shown + F.make_dt_interval(secs=F.lit(objective.matures_s))


def mature(objective: Objective, as_of: Column) -> Column:
    """Return whether the label of `objective` was mature at `as_of` for the impression of the time `ts`."""
    return matures(F.col("ts"), objective) <= as_of


def _collected(outcomes: DataFrame) -> DataFrame:
    """Return one row an impression_id, with `_outcomes`: an array of structs of what `typed` gives."""
    outcome = F.struct("objective", "ts", "happened", "known_from", "timeless", "unfit")
    named = outcomes.where(F.col("impression_id").isNotNull())
    return named.groupBy("impression_id").agg(F.collect_list(outcome).alias("_outcomes"))


def _label(name: str, objective: Objective, as_of: Column) -> Column:
    return F.when(mature(objective, as_of), _happened(name, objective, as_of))


def _settled(name: str, objective: Objective) -> Column:
    then = matures(F.col("ts"), objective)
    open_still = F.exists("_outcomes", lambda one: invalid(one, then) & (one.objective == name))
    return F.when(~F.coalesce(open_still, F.lit(False)), _happened(name, objective, then))


def _happened(name: str, objective: Objective, as_of: Column) -> Column:
    shown = F.col("ts")
    closes = window_end(shown, objective)

    def positive(one: Column) -> Column:
        return (one.objective == name) & one.happened & known(one, as_of) & one.ts.between(shown, closes)

    return F.coalesce(F.exists("_outcomes", positive), F.lit(False)).cast("tinyint")
