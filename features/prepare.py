"""The steps of a run before its first write: rows are counted, joined and profiled, and every check is passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from camoe.contracts import encoder as encoders
from camoe.contracts.built.definitions import definitions
from camoe.contracts.encoder import NO_WEIGHTS, Encoder
from camoe.contracts.runs import LabelCount
from camoe.contracts.schema import IMPRESSION_KEYS, label_column
from features.encoding.encode import apply, feature_values, fit_vocabularies, with_derived
from features.encoding.profile import profile
from features.history.columns import KEPT, hidden_columns, history_rows, keyed_columns, with_keys
from features.history.lookup import NUMBERS
from features.history.past import Past, told
from features.history.smoothing import with_history
from features.history.weights import smoothing_weights
from features.impressions.floors import Labels, below_floors, require_accepted
from features.impressions.judge import FOUND_LATE, with_raw
from features.impressions.labels import label_as_of, logged_objectives
from features.impressions.outcome_tally import OutcomeLog, OutcomeTally, outcome_dispositions, require_positives
from features.impressions.tally import Tally, count_impressions, kept_rows, quarantined_rows
from features.incremental import earlier_profiles, require_vocabularies
from features.inputs import RunInputs, read_inputs
from features.join.choice import Choice
from features.join.entities import JoinResult, join_entities, matched_column, unjoined
from features.past import opened_past
from features.plan import JOB, Plan
from features.report.coverage import Coverage, age_column, measure_days, unknown_slots, with_ages
from features.spark.progress import step
from features.spark.together import both
from features.tables.training import require_same_columns, training_rows


@dataclass(frozen=True)
class PreparedRun:
    """A run that has passed its checks.

    `values` are the kept impressions with the value of each feature, `profiled` the count of each value, `history` the
    same with the training days that the run leaves alone. `fitted` is empty where no training day is built. `accepted`
    is what lies under its floor and was accepted all the same.
    """

    inputs: RunInputs
    tally: Tally
    outcomes: OutcomeTally
    choices: tuple[Choice, ...]
    coverage: tuple[Coverage, ...]
    unknown_slots: Mapping[str, int]
    values: DataFrame
    profiled: DataFrame
    history: DataFrame
    fitted: Mapping[str, list[str]]
    accepted: tuple[str, ...]
    past: Past | None = None
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Valued:
    """The kept impressions with their features, and what their history was taken from and smoothed by."""

    rows: DataFrame
    past: Past | None = None
    weights: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def prepare(spark: SparkSession, plan: Plan) -> Iterator[PreparedRun]:
    """Read, judge, join and fit; computed rows are kept while the block runs. Nothing is written.

    Raises:
        InputError, ConfigError, EncoderError, RunError: as `features.build.build` says.
    """
    inputs = read_inputs(spark, plan)
    # What a feature gets wrong is told before any impression is counted.
    values_of(inputs, unjoined(inputs.judged, inputs.tables, plan.sources))
    with persisted(inputs.judged):
        counted = _tallied(inputs)
        joined = _joined(inputs)
        with (
            valued(inputs, joined.frame) as found,
            persisted(profile(found.rows, inputs.plan.features)) as profiled,
        ):
            yield _checked(inputs, counted, joined.choices, found, profiled)


def encoded_rows(plan: Plan, values: DataFrame, encoder: Encoder) -> DataFrame:
    """Return the rows of the training table."""
    encoded = apply(values, encoder, plan.features)
    objectives = list(plan.sources.objectives)
    return training_rows(
        encoded, plan.slots, objectives, plan.features, as_of=label_as_of(plan.window), run_id=plan.run_id
    )


def refused_rows(ready: PreparedRun) -> DataFrame:
    """Return the rows of the quarantine table, each with its raw row."""
    refused = quarantined_rows(ready.inputs.judged)
    if not any(ready.tally.quarantined.get(reason) for reason in FOUND_LATE):
        return refused
    return with_raw(refused, ready.inputs.impressions)


@contextmanager
def persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """Keep the computed rows of `frame` while the block runs."""
    frame.persist()
    try:
        yield frame
    finally:
        frame.unpersist()


def _tallied(inputs: RunInputs) -> Tally:
    plan = inputs.plan
    with step(inputs.judged.sparkSession.sparkContext, f"{JOB}: checking impressions"):
        counted = count_impressions(inputs.judged)
    counted.require_sum()
    counted.require_filed(plan.sources.max_misfiled, plan.window.zone)
    counted.require_usable(plan.sources.max_quarantined, plan.window.days)
    return counted


def _joined(inputs: RunInputs) -> JoinResult:
    with step(
        inputs.judged.sparkSession.sparkContext, f"{JOB}: counting {', '.join(inputs.tables) or 'nothing'} to join"
    ):
        counting = kept_rows if inputs.plan.features.history is None else history_rows
        return join_entities(counting(inputs.judged), inputs.tables, inputs.plan.sources, inputs.plan.window.days)


@contextmanager
def valued(inputs: RunInputs, joined: DataFrame, carried: Sequence[str] = ()) -> Iterator[Valued]:
    """Give each kept impression its features, also those that look into the history; kept while the block runs.

    Columns that are `carried` go on with it.
    """
    features = inputs.plan.features
    if features.history is None:
        with persisted(with_derived(values_of(inputs, joined, carried), features)) as rows:
            yield Valued(rows)
        return
    with (
        persisted(values_of(inputs, joined, carried)) as shown,
        opened_past(inputs, shown, joined) as past,
        persisted(told(shown.where(KEPT), past).drop(*keyed_columns(features))) as rows,
    ):
        plan = inputs.plan
        weights = smoothing_weights(plan.layout.encoder, rows, plan.training_days, past.layout)
        numbered = with_history(rows, past.layout, weights, plan.window.zone).drop(NUMBERS)
        with persisted(with_derived(numbered, features)) as found:
            yield Valued(found, past, weights if features.history.smoothing == "fitted" else NO_WEIGHTS)


def values_of(inputs: RunInputs, joined: DataFrame, carried: Sequence[str] = ()) -> DataFrame:
    """Return the impressions with the value of each feature that rests on them and their entities alone.

    Raises:
        ConfigError: as `feature_values` does.
    """
    plan = inputs.plan
    labels = [label_column(objective) for objective in plan.sources.objectives]
    flags = [helper(name) for name in inputs.tables for helper in (matched_column, age_column)]
    joined = with_ages(joined, inputs.tables)
    if plan.features.history is not None:
        joined = with_keys(joined, plan.features)
        flags += keyed_columns(plan.features)
    # A label of an objective that is not trained on is as much a leak as one that is.
    keep = [*IMPRESSION_KEYS, "date", "slot", *labels, *flags, *carried]
    return feature_values(joined, plan.features, keep, hidden_columns(joined))


def _checked(
    inputs: RunInputs, counted: Tally, choices: tuple[Choice, ...], found: Valued, profiled: DataFrame
) -> PreparedRun:
    plan, values, spark = inputs.plan, found.rows, found.rows.sparkSession
    with step(spark.sparkContext, f"{JOB}: joining {', '.join(inputs.tables) or 'nothing'}"):
        coverage, labels = measure_days(values, inputs.tables, plan.sources.objectives)
    below = _below_floors(inputs, coverage, labels)
    require_accepted(below, plan.accept)
    history = _history(inputs, profiled)
    if inputs.before.version >= 0:
        unfitted = Encoder(0, dict.fromkeys(plan.features.min_counts, ()))
        require_same_columns(encoded_rows(plan, values, unfitted), plan.target)
    with step(spark.sparkContext, f"{JOB}: fitting vocabularies, counting outcomes"):
        fitted, log = both(spark, partial(_fitted, inputs, history), partial(_outcome_log, inputs))
    outcomes = OutcomeTally(log, labels)
    _require_positives(inputs, outcomes)
    return PreparedRun(
        inputs=inputs,
        tally=counted,
        outcomes=outcomes,
        choices=choices,
        coverage=coverage,
        unknown_slots=unknown_slots(inputs.judged) if counted.of_unknown_slots else {},
        values=values,
        profiled=profiled,
        history=history,
        fitted=fitted,
        accepted=tuple(f"{plan.accept}: {line}" for line in below),
        past=found.past,
        weights=found.weights,
    )


def _below_floors(inputs: RunInputs, coverage: Sequence[Coverage], labels: Labels) -> tuple[str, ...]:
    matched = {item.entity: item.matched for item in coverage if item.day is None}
    before: dict[str, dict[date, LabelCount]] = {}
    for day, record in inputs.before.records.items():
        for name, days in record.labels.items():
            if day in days:
                before.setdefault(name, {})[day] = days[day]
    return below_floors(matched, labels, before, inputs.plan.sources)


def _history(inputs: RunInputs, profiled: DataFrame) -> DataFrame:
    plan = inputs.plan
    defined, training = definitions(plan.features), plan.days.train.days()
    earlier = earlier_profiles(profiled.sparkSession, plan.layout, inputs.before, training, defined)
    return profiled if earlier is None else profiled.unionByName(earlier.select(*profiled.columns))


def _fitted(inputs: RunInputs, history: DataFrame) -> dict[str, list[str]]:
    plan = inputs.plan
    training = plan.days.train.days()
    if plan.keeps_encoder:
        require_vocabularies(plan.layout.encoder, plan.features)
        encoders.read_fitted_on(plan.layout.encoder, plan.training_range, encoders.read(plan.layout.encoder))
        return {}
    if plan.training_days or any(day in training for day in inputs.before.records):
        return fit_vocabularies(history, plan.features, training)
    require_vocabularies(plan.layout.encoder, plan.features)
    return {}


def _outcome_log(inputs: RunInputs) -> OutcomeLog:
    plan, table = inputs.plan, inputs.plan.sources.outcomes
    if inputs.outcomes is None or table is None:
        return OutcomeLog()
    filed_by = {"event": "ts", "arrival": "available_at"}[table.day]
    objectives = logged_objectives(plan.sources)
    found = outcome_dispositions(inputs.judged, inputs.outcomes, objectives, plan.window, filed_by)
    found.require_filed(plan.sources.max_misfiled, filed_by)
    return found


def _require_positives(inputs: RunInputs, counted: OutcomeTally) -> None:
    # A single day may well have no positive of a rare objective, or be too young for one.
    training = inputs.plan.days.train.days()
    if inputs.outcomes is not None and set(training) <= set(inputs.plan.window.days):
        require_positives(counted, inputs.outcomes, logged_objectives(inputs.plan.sources), training)
