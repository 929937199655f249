"""The sequence of a run that adds columns: their values are computed beside the rows, which stay, then published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts import encoder as encoders
from camoe.contracts.built.definitions import columns_of, definitions
from camoe.contracts.encoder import Encoder, EncoderError
from camoe.contracts.errors import InputError
from camoe.contracts.runs import EntityState, RunRecord, rebuild_options, stale_days
from camoe.contracts.schema import RUN_ID
from features.after_commit import after_commit
from features.build import content_of, require_written
from features.columns.built import BuiltDays, built_days
from features.columns.narrow import narrowed, narrowed_sources
from features.columns.result import AddedColumns
from features.columns.shown import ROW, has_keys, in_the_log, in_the_table, is_enough
from features.delta.commit import Commit, CommitMetadata
from features.delta.remote import rows_on
from features.encoding.encode import apply, fit_vocabularies
from features.encoding.profile import profile
from features.impressions.floors import below_floors, require_accepted
from features.incremental import earlier_profiles
from features.inputs import RunInputs, entity_tables
from features.join.choice import Choice
from features.join.entities import join_entities, unjoined
from features.join.entity_states import entity_states, known_since
from features.plan import Plan
from features.prepare import Valued, persisted, valued, values_of
from features.read.files import input_versions
from features.report.coverage import measure_days
from features.spark.failures import NO_WHOLE_FILE, as_input_errors
from features.spark.progress import step
from features.spark.settings import require_zone
from features.spark.values import quoted
from features.tables.publish import PendingWrite, prune_superseded, publish
from features.tables.replace import DayReplacement
from features.tables.side import profile_rows
from features.tables.sizes import rows_of_a_file
from features.tables.training import as_files

STAGE = "add_columns"


@dataclass(frozen=True)
class Added:
    """Rows of built days, each the `ROW` of the table with the values of the features to add, and their counts."""

    days: BuiltDays
    inputs: RunInputs
    choices: tuple[Choice, ...]
    found: Valued
    profiled: DataFrame
    fitted: Mapping[str, list[str]]
    matched: Mapping[str, float]
    accepted: tuple[str, ...]


def add_columns(spark: SparkSession, plan: Plan) -> AddedColumns:
    """Add the plan's features to its days, in place of building them. A run that fails its checks writes nothing.

    Raises:
        InputError, ConfigError, EncoderError, RunError, ConcurrentRunError, CommittedError: as `features.build.build`
            does; a day is not built, or the log no longer has its impressions.
    """
    require_zone(spark, plan.window.zone)
    remedy = "mend what it says and run again"
    with as_input_errors(f"cannot build from {plan.folder}", remedy, NO_WHOLE_FILE):
        days = built_days(plan)
        with _prepared(spark, days) as ready:
            return _written(spark, ready)


@contextmanager
def _prepared(spark: SparkSession, days: BuiltDays) -> Iterator[Added]:
    plan = days.plan
    features = narrowed(plan.features, plan.added)
    part = replace(plan, features=features, sources=narrowed_sources(plan.sources, features))
    inputs = _read(spark, part, days)
    # What a feature gets wrong is told before anything is joined.
    values_of(inputs, unjoined(inputs.judged, inputs.tables, part.sources), (ROW,))
    with persisted(inputs.judged):
        with step(spark.sparkContext, f"{STAGE}: counting {', '.join(inputs.tables) or 'nothing'} to join"):
            joined = join_entities(inputs.judged, inputs.tables, part.sources, part.window.days)
        with valued(inputs, joined.frame, (ROW,)) as every:
            found = replace(every, rows=every.rows.where(F.col(ROW).isNotNull()))
            matched, below = _checked(days, inputs, found.rows)
            with persisted(profile(found.rows, features).where(F.col("feature").isin(list(plan.added)))) as profiled:
                accepted = tuple(f"{plan.accept}: {line}" for line in below)
                fitted = _fitted(spark, days, profiled)
                yield Added(days, inputs, joined.choices, found, profiled, fitted, matched, accepted)


def _read(spark: SparkSession, part: Plan, days: BuiltDays) -> RunInputs:
    """Open what the features rest on: the table's rows, and the log where these are not enough."""
    since = known_since(part.sources, part.window.zone, part.window.days)
    shown = in_the_table(rows_on(spark, part.layout.table, days.before.version, part.window.days), part)
    versions = input_versions(spark, part.folder, part.sources, part.window, logs=False)
    impressions, judged, outcomes = shown, shown, None
    tables = entity_tables(spark, part, versions, shown, since) if has_keys(shown, part) else None
    if tables is None or not is_enough(shown, tables, part):
        versions = {**input_versions(spark, part.folder, part.sources, part.window), **versions}
        impressions, judged, outcomes = in_the_log(spark, shown, part, versions)
        tables = entity_tables(spark, part, versions, judged, since)
    with step(spark.sparkContext, f"{STAGE}: reading {', '.join(tables) or 'no entity'}"):
        states = entity_states(tables, part.sources, part.window.zone, part.window.days, since)
    return RunInputs(part, days.before, impressions, judged, outcomes, tables, states, versions)


def _checked(days: BuiltDays, inputs: RunInputs, rows: DataFrame) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return the share of the impressions that each entity matched, and what lies under its floor and is accepted.

    Raises:
        InputError: an entity matches less than its floor, or rows of the table are not in the log.
    """
    with step(rows.sparkSession.sparkContext, f"{STAGE}: joining {', '.join(inputs.tables) or 'nothing'}"):
        counted = {(row["date"], row["slot"]): row["count"] for row in rows.groupBy("date", "slot").count().collect()}
        coverage, _ = measure_days(rows, inputs.tables, ())
    lost = {cell: rows - counted.get(cell, 0) for cell, rows in days.cells.items() if counted.get(cell, 0) != rows}
    if lost:
        day, slot = min(lost)
        raise InputError(
            f"the log no longer has {sum(lost.values()):,} of {sum(days.cells.values()):,} impressions of the table, "
            f"the first on {day} in slot {slot}; build these days again; nothing was written"
        )
    matched = {item.entity: item.matched for item in coverage if item.day is None}
    below = below_floors(matched, {}, {}, inputs.plan.sources)
    require_accepted(below, inputs.plan.accept)
    return matched, below


def _fitted(spark: SparkSession, days: BuiltDays, profiled: DataFrame) -> dict[str, list[str]]:
    """Fit the vocabularies of all features of the table to the training days, as a build of any day does.

    Raises:
        EncoderError: no training day has counts of a feature that is added.
    """
    plan, training = days.plan, days.plan.days.train.days()
    _require_counted(days)
    if not any(day in training for day in days.before.records):
        return {}
    earlier = earlier_profiles(spark, plan.layout, days.before, training, definitions(plan.features))
    if earlier is not None:
        # Of its own days the run counts the features that it adds itself.
        counted = F.col("feature").isin(list(plan.added)) & F.col("date").isin(list(plan.window.days))
        profiled = profiled.unionByName(earlier.where(~counted).select(*profiled.columns))
    with step(spark.sparkContext, f"{STAGE}: fitting vocabularies"):
        fitted = fit_vocabularies(profiled, plan.features, training)
    there = {name for day, one in days.before.records.items() for name in one.definitions(day)}
    return {name: values for name, values in fitted.items() if name in there or name in plan.added}


def _require_counted(days: BuiltDays) -> None:
    plan, defined = days.plan, definitions(days.plan.features)
    others = [days.before.records[day].definitions(day) for day in plan.days.train.days() if day in days.before.records]
    for name in (name for name in plan.added if name in plan.features.min_counts):
        if not plan.training_days and not any(one.get(name) == defined[name] for one in others):
            raise EncoderError(
                f"no training day has counts of '{name}' to fit its vocabulary on, and none of the run's days is one; "
                "add it to training days first"
            )


def _written(spark: SparkSession, ready: Added) -> AddedColumns:
    """Write the columns and return the run's result."""
    plan, remedy = ready.days.plan, "mend what it says and run again"
    with step(spark.sparkContext, f"{STAGE}: writing"), as_input_errors(f"cannot write to {plan.layout.root}", remedy):
        encoder = encoders.append_version(ready.fitted, plan.layout.encoder, plan.training_range, ready.found.weights)
        past = ready.found.past
        seen = {**ready.inputs.states, **(past.entity_states() if past else {})}
        record = _record(ready, encoder.version, seen)
        run = plan.signature(record.input_versions)
        before = ready.days.before
        of_a_file = rows_of_a_file(plan.rows_per_file, plan.bytes_per_file, before.row_bytes)
        pending = PendingWrite(
            rows=as_files(_rows(ready, encoder), ready.days.cells, of_a_file),
            quarantine=None,
            rows_quarantined=0,
            profiles=profile_rows(ready.profiled, run),
            record=record,
        )
        replacement = DayReplacement(
            plan.target, plan.window.days, before.version, before.makers, of_a_file, plan.layout.runs
        )
        if past:
            past.write()
        commit = publish(pending, replacement, plan.layout, run)
    with after_commit(plan, commit.version):
        return _result(spark, ready, encoder, commit, run)


def _rows(ready: Added, encoder: Encoder) -> DataFrame:
    """Return the table's rows as they are, but for their run and the columns of the features that are added."""
    plan, features = ready.days.plan, ready.inputs.plan.features
    added = [column for name in plan.added for column in columns_of(plan.features, name)]
    # Those that are only named by others may have no vocabulary yet, and are not written.
    known = replace(encoder, values={**dict.fromkeys(features.min_counts, ()), **encoder.values})
    encoded = apply(ready.found.rows, known, features)
    there = [name for name in encoded.select(f"{ROW}.*").columns if name not in (*added, RUN_ID)]
    return encoded.select(
        *[F.col(ROW)[name].alias(name) for name in there],
        F.lit(plan.run_id).alias(RUN_ID),
        *[F.col(quoted(name)) for name in added],
    )


def _record(ready: Added, encoder_version: int, seen: Mapping[str, EntityState]) -> RunRecord:
    days, plan, defined = ready.days, ready.days.plan, definitions(ready.days.plan.features)
    labels: dict[str, dict[date, object]] = {}
    for day, one in days.records.items():
        for objective, counts in one.labels.items():
            if day in counts:
                labels.setdefault(objective, {})[day] = counts[day]
    made = plan.record(seen, encoder_version, days.cells, ready.inputs.input_versions)
    changed = {
        "logs": (),
        "label_as_of": {day: one.labelled_as_of(day) for day, one in days.records.items()},
        "labels": labels,
        "accepted": ready.accepted,
        "features": {name: defined[name] for name in plan.added},
        "kept": days.kept(),
    }
    return made.model_copy(update=changed)


def _result(spark: SparkSession, ready: Added, encoder: Encoder, commit: Commit, run: CommitMetadata) -> AddedColumns:
    plan = ready.days.plan
    require_written(plan, ready.days.cells, commit.version)
    with step(spark.sparkContext, f"{STAGE}: looking at what was written"):
        active = prune_superseded(spark, plan.layout, run)
        content = content_of(spark, plan, commit.version)
    stale = stale_days(active)
    return AddedColumns(
        plan=plan,
        rows=ready.days.cells,
        matched=ready.matched,
        choices=ready.choices,
        read=tuple(ready.inputs.input_versions),
        encoder=encoder,
        commit=commit,
        content=content,
        stale=stale,
        rebuild=rebuild_options(active, stale),
        accepted=ready.accepted,
    )
