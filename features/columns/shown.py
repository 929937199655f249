"""Impressions of built days: as the table has them, or found again in the log where a feature needs more of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.schema import IMPRESSION_KEYS, label_column
from features.check.inputs import expressions
from features.history.columns import hidden_columns, history_rows
from features.impressions.judge import judged_impressions
from features.impressions.labels import read_outcomes
from features.impressions.tally import kept_rows
from features.join.entities import unjoined
from features.plan import Plan
from features.read.files import pinned
from features.read.raw import read_impressions
from features.spark.expressions import has_subquery
from features.spark.values import quoted

# The row of the table, as it is.
ROW = "_row_of_the_table"
# An impression is found again by all that the table has of it.
SAME = (*IMPRESSION_KEYS, "date", "slot")


def in_the_table(rows: DataFrame, plan: Plan) -> DataFrame:
    """Return the table's `rows` as impressions: what the table has of them, their labels, and the row as `ROW`."""
    labels = [label_column(objective) for objective in plan.sources.objectives]
    row = F.struct(*[F.col(quoted(name)) for name in rows.columns]).alias(ROW)
    local = F.from_utc_timestamp("ts", plan.window.zone).alias("local_ts")
    return rows.select(*SAME, local, *labels, row)


def has_keys(shown: DataFrame, plan: Plan) -> bool:
    """Return whether the impressions that are `shown` can be joined with the plan's entities, and none looks back."""
    keys = {entity.key for entity in plan.sources.entities.values()}
    return plan.features.history is None and keys <= set(shown.columns)


def is_enough(shown: DataFrame, tables: Mapping[str, DataFrame], plan: Plan) -> bool:
    """Return whether the plan's features see no more than the impressions that are `shown`, and entity `tables`."""
    named = [sql for _, sql in expressions(plan.features)]
    joined = unjoined(shown, tables, plan.sources)
    # What is wrong with an expression is told over the log, of which it may see more.
    if any(has_subquery(shown.sparkSession, sql) for sql in named):
        return False
    try:
        joined.drop(*hidden_columns(joined)).select(*map(F.expr, named))
    except AnalysisException:
        return False
    return True


def in_the_log(
    spark: SparkSession, shown: DataFrame, plan: Plan, versions: Mapping[str, str]
) -> tuple[DataFrame, DataFrame, DataFrame | None]:
    """Return the impressions as they are read, those of the log with what is `shown` of them, and the outcome log.

    Without a history those that are not `shown` are left out, and nobody asks for outcomes.
    """
    at_versions, past = pinned(plan.sources, versions), plan.features.history is not None
    outcomes = read_outcomes(spark, plan.folder, at_versions, plan.window) if past else None
    impressions = read_impressions(spark, plan.folder, at_versions, plan.window)
    judged = judged_impressions(impressions, outcomes, plan.sources, plan.slots, plan.window)
    found = (history_rows if past else kept_rows)(judged)
    # Labels are those that the days were built with.
    labels: Collection[str] = [name for name in shown.columns if name not in (*SAME, "local_ts", ROW)]
    joined = found.drop(*labels).join(shown.drop("local_ts"), on=list(SAME), how="left" if past else "inner")
    return impressions, joined, outcomes
