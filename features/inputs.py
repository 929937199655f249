"""Inputs of a run: both logs judged for its days, the entity tables, and the table that it builds on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from camoe.contracts.runs import EntityState
from features.impressions.judge import judged_impressions
from features.impressions.labels import read_outcomes
from features.incremental import ExistingTable, cascaded, find_existing
from features.join.entities import read_entities
from features.join.entity_states import entity_states, reaching
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
    tables = read_entities(spark, plan.folder, pinned(plan.sources, versions), judged)
    with step(spark.sparkContext, f"{JOB}: reading {', '.join(tables) or 'the impressions'}"):
        states = entity_states(tables, plan.sources, plan.window.zone, plan.window.days)
    days = cascaded(plan, before, states) if plan.cascade else plan.window.days
    if days != plan.window.days:
        plan, before = plan.on(days), before.without(days)
        # The entities were read before: their versions of then are what their rows are known to be no older than.
        entities = {name: versions[name] for name in tables}
        versions = {**input_versions(spark, plan.folder, plan.sources, plan.window), **entities}
        states = reaching(states, plan.sources, plan.window.zone, days)
        impressions, judged, outcomes = judged_days(spark, plan, versions)
    return RunInputs(plan, before, impressions, judged, outcomes, tables, states, versions)


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
