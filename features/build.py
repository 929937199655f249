"""The sequence of a feature run: read, judge, join, encode; every check before the first write; then publish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts import encoder as encoders
from camoe.contracts.counts import require_equal
from camoe.contracts.encoder import Encoder
from camoe.contracts.layout import KEYS, label_column
from camoe.contracts.runs import stale_days
from camoe.contracts.snapshot import logged as logged_table
from features.built import Built
from features.encode import apply, feature_values, fit
from features.entities import Joined, join_entities, matched_column
from features.failures import explained
from features.incremental import earlier_profiles, require_vocabularies
from features.inputs import JOB, Read, read_inputs
from features.join.choice import Choice
from features.outcome_tally import OutcomeTally, outcome_fates, positives, require_positives
from features.outcomes import logged
from features.plan import Plan
from features.profile import profile
from features.progress import step
from features.publish import Draft, publish, tidy
from features.side_tables import profile_rows, quarantine_rows
from features.table import as_files, require_same_columns, training_rows
from features.tally import Tally, kept, quarantined, tally
from features.training_commit import Switch


@dataclass(frozen=True)
class Checked:
    """Counts, joined values and vocabularies of a run that has passed its checks."""

    tally: Tally
    outcomes: OutcomeTally
    choices: tuple[Choice, ...]
    matched: Mapping[str, float]
    fitted: Mapping[str, list[str]]


def build(spark: SparkSession, plan: Plan) -> Built:
    """Build the run's days. A run that fails its checks writes nothing.

    Raises:
        InputError: the input is missing, empty, damaged, not what the mapping says, has an empty day or too many rows
            to quarantine, an objective of the outcome log has no positive label, or the table that is there was built
            with other settings.
        ConfigError: a feature or payload names what is not there.
        EncoderError: the run has no training day and there is no encoder.
        RunError: the record or the profile of an earlier run is missing.
        ConcurrentRunError: another run replaced one of the days meanwhile.
        CountError: the rows written are not the rows that were to be written.
    """
    with explained(f"cannot build from {plan.folder}", "mend the input, or use try_cast in the expression that failed"):
        read = read_inputs(spark, plan)
        with persisted(read.judged):
            counted = _tallied(read)
            joined = _joined(read)
            with persisted(_values(read, joined.frame)) as values, persisted(profile(values, plan.features)) as counts:
                checked = _checked(read, counted, joined.choices, values, counts)
                return _written(read, checked, values, counts)


@contextmanager
def persisted(frame: DataFrame) -> Iterator[DataFrame]:
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
    flags = [matched_column(name) for name in read.tables]
    # A label of an objective that is not trained on is as much a leak as one that is.
    hidden = [name for name in joined.columns if name.startswith((label_column(""), "_"))]
    return feature_values(joined, plan.features, [*KEYS, "date", "slot", *labels, *flags], hidden)


def _checked(
    read: Read, counted: Tally, choices: tuple[Choice, ...], values: DataFrame, profiled: DataFrame
) -> Checked:
    plan, context = read.plan, values.sparkSession.sparkContext
    with step(context, f"{JOB}: joining {', '.join(read.tables) or 'nothing'}"):
        matched = _matched(values, read.tables)
    with step(context, f"{JOB}: fitting vocabularies"):
        fitted = _fitted(read, profiled)
    if read.before.version >= 0:
        unfitted = Encoder(0, {feature.name: () for feature in plan.features.categorical})
        require_same_columns(_rows(plan, values, unfitted), plan.target)
    with step(context, f"{JOB}: counting outcomes"):
        outcomes = _outcome_tally(read, values)
    return Checked(counted, outcomes, choices, matched, fitted)


def _written(read: Read, checked: Checked, values: DataFrame, profiled: DataFrame) -> Built:
    plan, spark = read.plan, values.sparkSession
    remedy = "mend what it says and run again"
    with step(spark.sparkContext, f"{JOB}: writing"), explained(f"cannot write to {plan.layout.root}", remedy):
        encoder = encoders.publish(checked.fitted, plan.layout.encoder)
        record = plan.record(read.states, encoder.version, checked.tally.kept, read.input_versions)
        run = plan.signature(record.input_versions)
        draft = Draft(
            rows=as_files(_rows(plan, values, encoder), checked.tally.kept, plan.rows_per_file),
            quarantine=quarantine_rows(quarantined(read.judged), run),
            rows_quarantined=checked.tally.rows_quarantined,
            profiles=profile_rows(profiled, run),
            record=record,
        )
        switch = Switch(plan.target, plan.window.days, read.before.version, read.before.makers, plan.rows_per_file)
        replaced = publish(draft, switch, plan.layout, run)
        active = tidy(spark, plan.layout, run)
    _require_written(plan, checked.tally, replaced.commit.version)
    return Built(
        plan=plan,
        tally=checked.tally,
        outcomes=checked.outcomes,
        choices=checked.choices,
        matched=checked.matched,
        encoder=encoder,
        replaced=replaced,
        stale=stale_days(active),
    )


def _fitted(read: Read, profiled: DataFrame) -> dict[str, list[str]]:
    plan = read.plan
    if not plan.training_days:
        require_vocabularies(plan.layout.encoder, plan.features)
        return {}
    training = plan.days.train.days()
    earlier = earlier_profiles(profiled.sparkSession, plan.layout, read.before, training)
    rows = profiled if earlier is None else profiled.unionByName(earlier.select(*profiled.columns))
    return fit(rows, plan.features, training)


def _rows(plan: Plan, values: DataFrame, encoder: Encoder) -> DataFrame:
    encoded = apply(values, encoder, plan.features)
    objectives = list(plan.sources.objectives)
    return training_rows(encoded, plan.slots, objectives, plan.features, as_of=plan.window.as_of, run_id=plan.run_id)


def _outcome_tally(read: Read, values: DataFrame) -> OutcomeTally:
    plan = read.plan
    positive = positives(values, plan.sources.objectives)
    if read.outcomes is None:
        return OutcomeTally({}, positive)
    from_log = logged(plan.sources)
    counted = OutcomeTally(outcome_fates(read.judged, read.outcomes, from_log, plan.window.as_of), positive)
    # A single day may well have no positive of a rare objective, or be too young for one.
    if set(plan.days.train.days()) <= set(plan.window.days):
        require_positives(counted, read.outcomes, from_log, plan.days.train.days())
    return counted


def _matched(values: DataFrame, tables: Mapping[str, DataFrame]) -> dict[str, float]:
    if not tables:
        return {}
    shares = [F.avg(F.col(matched_column(name)).cast("double")).alias(name) for name in tables]
    row = values.agg(*shares).first()
    return {} if row is None else {name: round(share, 6) for name, share in row.asDict().items()}


def _require_written(plan: Plan, counted: Tally, version: int) -> None:
    """Hold the rows that the log names in the run's days, cell by cell, against those that were counted."""
    written = logged_table(plan.layout.training, version).rows_by_cell()
    for day, slot in sorted(counted.kept.keys() | {cell for cell in written if cell[0] in plan.window.days}):
        what = f"rows of the training table on {day} in slot {slot}"
        require_equal(what, counted.kept.get((day, slot), 0), written.get((day, slot), 0))
