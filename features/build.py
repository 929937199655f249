"""The sequence of a feature run: everything is read, joined and checked before the first write, then published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from pyspark.sql import SparkSession

from camoe.contracts import encoder as encoders
from camoe.contracts.days import day_list
from camoe.contracts.encoder import Encoder
from camoe.contracts.places.counts import require_equal
from camoe.contracts.runs import rebuild_options, stale_days
from camoe.contracts.schema import RUN_ID
from camoe.contracts.snapshot import logged
from features.after_commit import after_commit
from features.delta.commit import Commit, CommitMetadata
from features.delta.remote import rows_on
from features.history.check import alone
from features.plan import JOB, Plan
from features.prepare import PreparedRun, encoded_rows, prepare, refused_rows
from features.report import RunFacts, day_groups, feature_report
from features.report.cells import profile_cells
from features.result import BuildResult
from features.spark.failures import NO_WHOLE_FILE, as_input_errors
from features.spark.progress import step
from features.spark.settings import require_zone
from features.spark.values import day_hashes
from features.tables.publish import PendingWrite, prune_superseded, publish
from features.tables.replace import DayReplacement
from features.tables.side import profile_rows, quarantine_rows
from features.tables.sizes import measured, rows_of_a_file
from features.tables.training import as_files, columns_in_order


def build(spark: SparkSession, plan: Plan) -> BuildResult:
    """Build the run's days. A run that fails its checks writes nothing.

    Raises:
        InputError: the input is missing, empty, damaged, not what the mapping says, has an empty day or too many rows
            to quarantine, an objective of the outcome log has no positive label, or the table that is there was built
            with other settings.
        ConfigError: a feature or payload names what is not there, or Java does not know the time zone.
        EncoderError: the run has no training day and there is no encoder.
        RunError: the record or the profile of an earlier run is missing.
        ConcurrentRunError: another run replaced one of the days meanwhile.
        CountError: the quarantine holds other rows than were counted.
        CommittedError: something failed after the commit, also when the rows are not those that were to be written.
    """
    require_zone(spark, plan.window.zone)
    remedy = "mend what it says and run again"
    with as_input_errors(f"cannot build from {plan.folder}", remedy, NO_WHOLE_FILE), prepare(spark, plan) as ready:
        return write_run(spark, ready)


def fit(spark: SparkSession, plan: Plan) -> str:
    """Fit vocabularies and smoothing to the plan's days, the training days, as a run that builds them; none is built.

    Returns what was done. Raises as `build` does before its first write.
    """
    require_zone(spark, plan.window.zone)
    remedy = "mend what it says and run again"
    with as_input_errors(f"cannot build from {plan.folder}", remedy, NO_WHOLE_FILE), prepare(spark, plan) as ready:
        encoder = encoders.append_version(ready.fitted, plan.layout.encoder, plan.training_range, ready.weights)
        if ready.past:
            ready.past.write()
    return f"encoder     {plan.layout.encoder} version {encoder.version}, fitted to {day_list(plan.window.days)}"


def write_run(spark: SparkSession, ready: PreparedRun) -> BuildResult:
    """Write the prepared run and return its result. Raises as `build` does from its first write on."""
    # The plan as it was settled: a cascade adds days.
    plan, before = ready.inputs.plan, ready.inputs.before
    remedy = "mend what it says and run again"
    with step(spark.sparkContext, f"{JOB}: writing"), as_input_errors(f"cannot write to {plan.layout.root}", remedy):
        encoder = encoders.append_version(ready.fitted, plan.layout.encoder, plan.training_range, ready.weights)
        seen = {**ready.inputs.states, **(ready.past.entity_states() if ready.past else {})}
        record = plan.record(seen, encoder.version, ready.tally.kept, ready.inputs.input_versions)
        record = record.model_copy(update={"labels": ready.outcomes.labels, "accepted": ready.accepted})
        run = plan.signature(record.input_versions)
        rows, kept = encoded_rows(plan, ready.values, encoder), ready.tally.kept
        of_a_file = rows_of_a_file(plan.rows_per_file, plan.bytes_per_file, before.row_bytes or measured(rows, kept))
        pending = PendingWrite(
            rows=as_files(rows, kept, of_a_file),
            quarantine=quarantine_rows(refused_rows(ready), run),
            rows_quarantined=ready.tally.rows_quarantined,
            profiles=profile_rows(ready.profiled, run),
            record=record,
        )
        replacement = DayReplacement(
            plan.target, plan.window.days, before.version, before.makers, of_a_file, plan.layout.runs
        )
        if ready.past:
            ready.past.write()
        commit = publish(pending, replacement, plan.layout, run)
    with after_commit(plan, commit.version):
        return _result(spark, ready, encoder, commit, run)


def _result(
    spark: SparkSession, ready: PreparedRun, encoder: Encoder, commit: Commit, run: CommitMetadata
) -> BuildResult:
    """Check the commit, prune what it superseded, and return the run's result."""
    plan = ready.inputs.plan
    require_written(plan, ready.tally.kept, commit.version)
    with step(spark.sparkContext, f"{JOB}: looking at what was written"):
        active = prune_superseded(spark, plan.layout, run)
        content = content_of(spark, plan, commit.version)
    with step(spark.sparkContext, f"{JOB}: comparing features with the training days"):
        report = _report(ready, encoder, commit.version)
    stale = stale_days(active)
    return BuildResult(
        plan=plan,
        tally=ready.tally,
        outcomes=ready.outcomes,
        choices=ready.choices,
        coverage=ready.coverage,
        encoder=encoder,
        commit=commit,
        content=content,
        stale=stale,
        accepted=ready.accepted,
        rebuild=rebuild_options(active, stale),
        report=report,
    )


def content_of(spark: SparkSession, plan: Plan, version: int) -> dict[date, str]:
    """Return the hash of each of the run's days in `version` of the table, over all columns but the run."""
    mine = rows_on(spark, plan.layout.table, version, plan.window.days)
    # In the order in which a table is made of these features, wherever columns were added.
    columns = columns_in_order(tuple(plan.sources.objectives), plan.features)
    return day_hashes(mine, [name for name in columns if name in mine.columns and name != RUN_ID])


def _report(ready: PreparedRun, encoder: Encoder, version: int) -> dict[str, Any]:
    plan, training = ready.inputs.plan, ready.inputs.plan.days.train.days()
    reference = {day for day in ready.inputs.before.records if day in training}
    facts = RunFacts(
        run_id=plan.run_id,
        as_of=plan.window.as_of.isoformat(),
        label_as_of={day.isoformat(): plan.window.label_as_of(day).isoformat() for day in plan.window.days},
        encoder_version=encoder.version,
        table=str(plan.layout.table),
        table_version=version,
        groups=day_groups(plan.days, reference | set(plan.window.days)),
    )
    document = feature_report(
        facts,
        ready.tally,
        unknown_slots=ready.unknown_slots,
        choices=ready.choices,
        coverage=ready.coverage,
        cells=profile_cells(ready.history, encoder, plan.features, training, plan.window.days),
        encoder=encoder,
        features=plan.features,
    )
    if plan.features.history is None or not plan.training_days:
        return document
    past, history = plan.features.numerics[len(plan.features.numeric) :], plan.features.history
    areas = alone(ready.values, past, history.objectives, plan.training_days, history.leaks)
    return {**document, "history": [asdict(area) for area in areas]}


def require_written(plan: Plan, kept: Mapping[tuple[date, str], int], version: int) -> None:
    """Raise `CountError` unless the log has, in each cell of the run's days, as many rows as were counted."""
    written = logged(plan.layout.table, version, days=plan.window.days).rows_by_cell()
    for day, slot in sorted(kept.keys() | written.keys()):
        what = f"rows of the training table on {day} in slot {slot}"
        require_equal(what, kept.get((day, slot), 0), written.get((day, slot), 0))
