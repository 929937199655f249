"""Labels from an outcome log: joined by impression_id within each objective's window, as known at one time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.layout import label_column
from camoe.contracts.sources import Objective
from features.checks import INVALID_LABEL, REASONS, add_reason


def label(
    impressions: DataFrame, outcomes: DataFrame, objectives: Mapping[str, Objective], as_of: datetime
) -> DataFrame:
    """Add `label_<objective>` (tinyint) for each objective; rows out = rows in.

    1: an outcome within [ts, ts + window] that was known at `as_of` (available_at, else its ts, not after it).
    0: the window had closed by `as_of` without one. Null: not yet mature. Outcomes with a null or unparsable ts, or
    with a mapped `value` other than 0 and 1, make the impression invalid_label; a `value` of 0 is no outcome.
    """
    joined = impressions.join(_collected(outcomes, as_of), on="impression_id", how="left")
    labels = {label_column(name): _label(name, objective, as_of) for name, objective in objectives.items()}
    broken = F.exists("_outcomes", lambda one: one.invalid & one.objective.isin(list(objectives)))
    return joined.withColumns({**labels, REASONS: add_reason(broken, INVALID_LABEL)}).drop("_outcomes")


def _collected(outcomes: DataFrame, as_of: datetime) -> DataFrame:
    """One row an impression_id: `_outcomes`, an array of {objective, ts, known, invalid}."""
    ts = F.col("ts").try_cast("timestamp")
    available = F.col("available_at").try_cast("timestamp") if "available_at" in outcomes.columns else ts
    value = F.col("value").try_cast("double") if "value" in outcomes.columns else F.lit(1.0)
    outcome = F.struct(
        F.col("objective").cast("string").alias("objective"),
        ts.alias("ts"),
        F.coalesce((available <= F.lit(as_of)) & (value == 1), F.lit(False)).alias("known"),
        (ts.isNull() | ~F.coalesce(value.isin(0.0, 1.0), F.lit(False))).alias("invalid"),
    )
    named = outcomes.where(F.col("impression_id").isNotNull())
    return named.groupBy("impression_id").agg(F.collect_list(outcome).alias("_outcomes"))


def _label(name: str, objective: Objective, as_of: datetime) -> Column:
    shown = F.col("ts")
    closes = shown + F.make_dt_interval(secs=F.lit(objective.window_s))
    happened = F.exists("_outcomes", lambda one: (one.objective == name) & one.known & one.ts.between(shown, closes))
    return F.when(happened, F.lit(1)).when(closes <= F.lit(as_of), F.lit(0)).cast("tinyint")
