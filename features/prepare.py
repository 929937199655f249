"""What a run makes before it writes anything: its rows counted, joined, profiled, and every check passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession

from camoe.contracts.encoder import Encoder
from camoe.contracts.schema import KEYS, label_column
from features.encoding.encode import apply, feature_values, fit
from features.encoding.profile import profile
from features.impressions.labels import logged_objectives
from features.impressions.outcome_tally import OutcomeTally, outcome_fates, positives, require_positives
from features.impressions.tally import Tally, kept, tally
from features.incremental import earlier_profiles, require_vocabularies
from features.inputs import Read, read_inputs
from features.join.choice import Choice
from features.join.entities import Joined, join_entities, matched_column, unjoined
from features.plan import JOB, Plan
from features.report.coverage import Coverage, age_column, entity_coverage, unknown_slots, with_ages
from features.spark.progress import step
from features.tables.training import require_same_columns, training_rows


@dataclass(frozen=True)
class Prepared:
    """A run that has passed its checks.

    `values` are the kept impressions with the value of each feature, `profiled` how often each value comes, `history`
    the same with the training days that the run leaves alone. `fitted` is empty without training days.
    """

    read: Read
    tally: Tally
    outcomes: OutcomeTally
    choices: tuple[Choice, ...]
    coverage: tuple[Coverage, ...]
    unknown_slots: Mapping[str, int]
    values: DataFrame
    profiled: DataFrame
    history: DataFrame
    fitted: Mapping[str, list[str]]


@contextmanager
def prepared(spark: SparkSession, plan: Plan) -> Iterator[Prepared]:
    """Read, judge, join and fit; what was computed is kept while the block runs. Nothing is written.

    Raises:
        InputError, ConfigError, EncoderError, RunError: as `features.build.build` says.
    """
    read = read_inputs(spark, plan)
    # What a feature gets wrong is told before any impression is counted.
    _values(read, unjoined(read.judged, read.tables, plan.sources))
    with _persisted(read.judged):
        counted = _tallied(read)
        joined = _joined(read)
        with (
            _persisted(_values(read, joined.frame)) as values,
            _persisted(profile(values, read.plan.features)) as profiled,
        ):
            yield _checked(read, counted, joined.choices, values, profiled)


def encoded_rows(plan: Plan, values: DataFrame, encoder: Encoder) -> DataFrame:
    """The rows of the training table."""
    encoded = apply(values, encoder, plan.features)
    objectives = list(plan.sources.objectives)
    return training_rows(encoded, plan.slots, objectives, plan.features, as_of=plan.window.as_of, run_id=plan.run_id)


@contextmanager
def _persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """Keep what `frame` computes while the block runs."""
    frame.persist()
    try:
        yield frame
    finally:
        frame.unpersist()


def _tallied(read: Read) -> Tally:
    plan = read.plan
    with step(read.judged.sparkSession.sparkContext, f"{JOB}: checking impressions"):
        counted = tally(read.judged)
    counted.require_sum()
    counted.require_usable(plan.sources.max_quarantined, plan.window.days)
    return counted


def _joined(read: Read) -> Joined:
    with step(read.judged.sparkSession.sparkContext, f"{JOB}: counting {', '.join(read.tables) or 'nothing'} to join"):
        return join_entities(kept(read.judged), read.tables, read.plan.sources, read.plan.window.days)


def _values(read: Read, joined: DataFrame) -> DataFrame:
    plan = read.plan
    labels = [label_column(objective) for objective in plan.sources.objectives]
    flags = [helper(name) for name in read.tables for helper in (matched_column, age_column)]
    joined = with_ages(joined, read.tables)
    # A label of an objective that is not trained on is as much a leak as one that is.
    hidden = [name for name in joined.columns if name.startswith((label_column(""), "_"))]
    return feature_values(joined, plan.features, [*KEYS, "date", "slot", *labels, *flags], hidden)


def _checked(
    read: Read, counted: Tally, choices: tuple[Choice, ...], values: DataFrame, profiled: DataFrame
) -> Prepared:
    plan, context = read.plan, values.sparkSession.sparkContext
    with step(context, f"{JOB}: joining {', '.join(read.tables) or 'nothing'}"):
        coverage = entity_coverage(values, read.tables)
    with step(context, f"{JOB}: fitting vocabularies"):
        history = _history(read, profiled)
        fitted = _fitted(read, history)
    if read.before.version >= 0:
        unfitted = Encoder(0, dict.fromkeys(plan.features.min_counts, ()))
        require_same_columns(encoded_rows(plan, values, unfitted), plan.target)
    with step(context, f"{JOB}: counting outcomes"):
        outcomes = _outcome_tally(read, values)
        strange = unknown_slots(read.judged) if counted.rows_quarantined else {}
    return Prepared(
        read=read,
        tally=counted,
        outcomes=outcomes,
        choices=choices,
        coverage=coverage,
        unknown_slots=strange,
        values=values,
        profiled=profiled,
        history=history,
        fitted=fitted,
    )


def _history(read: Read, profiled: DataFrame) -> DataFrame:
    plan = read.plan
    earlier = earlier_profiles(profiled.sparkSession, plan.layout, read.before, plan.days.train.days())
    return profiled if earlier is None else profiled.unionByName(earlier.select(*profiled.columns))


def _fitted(read: Read, history: DataFrame) -> dict[str, list[str]]:
    plan = read.plan
    if plan.training_days:
        return fit(history, plan.features, plan.days.train.days())
    require_vocabularies(plan.layout.encoder, plan.features)
    return {}


def _outcome_tally(read: Read, values: DataFrame) -> OutcomeTally:
    plan = read.plan
    positive = positives(values, plan.sources.objectives)
    if read.outcomes is None:
        return OutcomeTally({}, positive)
    from_log = logged_objectives(plan.sources)
    counted = OutcomeTally(outcome_fates(read.judged, read.outcomes, from_log, plan.window.as_of), positive)
    # A single day may well have no positive of a rare objective, or be too young for one.
    if set(plan.days.train.days()) <= set(plan.window.days):
        require_positives(counted, read.outcomes, from_log, plan.days.train.days())
    return counted
