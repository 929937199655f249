"""Inputs of a run: both logs judged for its days, the entity tables, and the table that it builds on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession

from camoe.contracts.runs import EntityState, stale_days
from features.impressions.judge import judged_impressions
from features.impressions.labels import read_outcomes
from features.incremental import ExistingTable, cascaded, find_existing
from features.join.entities import read_entities
from features.join.entity_states import entity_states, known_since, reaching
from features.plan import JOB, Plan
from features.read.files import input_versions, pinned
from features.read.raw import read_impressions
from features.spark.progress import step


@dataclass(frozen=True)
class RunInputs:
    """A run's plan with the days it builds, the table before it, both logs, the entity tables and their `states`.

    `impressions` are as they were read, `judged` the same with their labels and what is wrong with them.
    """

    plan: Plan
    before: ExistingTable
    impressions: DataFrame
    judged: DataFrame
    outcomes: DataFrame | None
    tables: Mapping[str, DataFrame]
    states: Mapping[str, EntityState]
    input_versions: Mapping[str, str]


def read_inputs(spark: SparkSession, plan: Plan) -> RunInputs:
    """Open the run's inputs, and settle which days it builds.

    Raises:
        InputError, ConfigError, RunError, SnapshotError: as `features.build.build` says.
    """
    before = find_existing(plan)
    plan = plan.after(before.records.values())
    versions = input_versions(spark, plan.folder, plan.sources, plan.window)
    impressions, judged, outcomes = judged_days(spark, plan, versions)
    # A cascade adds days after the run's, and those that are stale already, which may see what became known before.
    seeing = {*plan.window.days, *(stale_days(before.records) if plan.cascade else ())}
    since = known_since(plan.sources, plan.window.zone, seeing)
    tables = entity_tables(spark, plan, versions, judged, since)
    with step(spark.sparkContext, f"{JOB}: reading {', '.join(tables) or 'the impressions'}"):
        states = entity_states(tables, plan.sources, plan.window.zone, plan.window.days, since)
    days = cascaded(plan, before, states) if plan.cascade else plan.window.days
    if days != plan.window.days:
        plan, before = plan.on(days), before.without(days)
        # The entities were read before: their versions of then are what their rows are known to be no older than.
        entities = {name: versions[name] for name in tables}
        versions = {**input_versions(spark, plan.folder, plan.sources, plan.window), **entities}
        states = reaching(states, plan.sources, plan.window.zone, days)
        impressions, judged, outcomes = judged_days(spark, plan, versions)
    return RunInputs(plan, before, impressions, judged, outcomes, tables, states, versions)


def entity_tables(
    spark: SparkSession,
    plan: Plan,
    versions: Mapping[str, str],
    impressions: DataFrame,
    since: Mapping[str, date] | None = None,
) -> dict[str, DataFrame]:
    """Read the entities at `versions`, for the `impressions` of the plan's days, as far back as these look.

    `since` has by entity the first day whose rows are needed, where that is another.
    """
    zone = plan.window.zone
    first = known_since(plan.sources, zone, plan.window.days) if since is None else since
    begins = {name: plan.window.begins(day) for name, day in first.items()}
    return read_entities(spark, plan.folder, pinned(plan.sources, versions), impressions, begins)


def judged_days(
    spark: SparkSession, plan: Plan, versions: Mapping[str, str]
) -> tuple[DataFrame, DataFrame, DataFrame | None]:
    """Return the impressions of the plan's days as they are read, the same judged, and the outcome log.

    Delta tables are read at the `versions` that `input_versions` tells.
    """
    at_versions = pinned(plan.sources, versions)
    outcomes = read_outcomes(spark, plan.folder, at_versions, plan.window)
    impressions = read_impressions(spark, plan.folder, at_versions, plan.window)
    judged = judged_impressions(impressions, outcomes, plan.sources, plan.slots, plan.window)
    return impressions, judged, outcomes
