"""From the tables of a run to the kept states and the figures of every group, with the rows accounted for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.days import Days
from camoe.contracts.errors import InputError
from camoe.contracts.layout import Layout
from camoe.contracts.places.counts import require_equal
from camoe.contracts.places.leases import leased
from camoe.contracts.places.pins import pinned, pinned_here
from camoe.contracts.runs import RunError, lock_of
from camoe.contracts.schema import label_column
from camoe.evaluation import scored
from camoe.evaluation.cells import is_invalid, state_rows
from camoe.evaluation.figures import Asked, Figures
from camoe.evaluation.keep import keep_states, kept_states
from camoe.evaluation.kept import require_kept
from camoe.evaluation.spark_figures import FieldSummary, all_figures, field_summaries, kinds_not_kept
from camoe.evaluation.values import FieldValues
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import MetricError
from camoe.metrics.table import ALL, BASE_RATE, MODEL, MODEL_RAW, SLOT_RATE, TRUTH

# A field with histograms has at most so many values: each is a group as a slot is.
MOST_BINNED_VALUES = 1_000


@dataclass(frozen=True)
class ScoredRun:
    """Predictions of one model version on the test days of `days`, for each of `objectives`, in the tables of `layout`.

    `table` is the training table, `predictions` that of them. `against` are versions of models that it is held against.
    `truth`: whether the lake under `layout` is the synthetic one that they are of; a lake that lies elsewhere has
    nothing to do with the truth there. `command` gives the command that runs a job of the chain again, by its name.
    `values` are those of fields that are categorical features.
    """

    model_version: str
    days: Days
    objectives: tuple[str, ...]
    layout: Layout
    table: Path | str
    predictions: Path | str
    truth: bool
    command: Callable[[str], str]
    values: FieldValues
    against: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluation:
    """Figures by group; predictors; the training-table version behind them; rows at each point; fields at large.

    `not_kept` are the kinds of groups in which the model is not held against another, by that one.
    """

    figures: tuple[Figures, ...]
    predictors: tuple[str, ...]
    snapshot_version: int
    counts: Mapping[str, int]
    fields: tuple[FieldSummary, ...] = ()
    not_kept: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def evaluate(spark: SparkSession, run: ScoredRun, settings: EvaluationConfig) -> Evaluation:
    """Keep the states of a model on the test days, and make the figures of them.

    One version of each table is read, whatever commits meanwhile.

    Raises:
        InputError: predictions or the training table are missing, lack a day or a column, or know no training label; a
            model that this one is held against has no states on a day.
        CountError: rows were lost or doubled on the way from the predictions to the states.
        MetricError: a prediction is no probability, or a model that this one is held against has states of other rows.
        RunError: another job evaluates the same days with the model.
    """
    layout, why, days = run.layout, "evaluation reads it", run.days.test.days()
    for other in run.against:
        require_kept(layout.states, other, days, f"{run.command('evaluate')} with --model {other}")
    version = scored.newest_version(run.predictions, run.command("score"))
    lease = lock_of(layout.runs, f"states of {run.model_version}")
    with (
        leased(lease, f"evaluation of model {run.model_version}", RunError),
        pinned_here(layout.pins, layout.predictions, run.predictions, version, job="evaluate", why=why),
    ):
        read = _read_predictions(spark, run, version, settings)
        labels = read.snapshot_version
        with pinned_here(layout.pins, layout.training, run.table, labels, job="evaluate", why=why):
            predictors, counts = _keep(_with_yardsticks(spark, run, read, settings), read, run, settings)
        kept = scored.newest_version(layout.states, run.command("evaluate"))
        with pinned(layout.pins, layout.states, kept, "evaluate", why):
            states = kept_states(spark, layout.states, kept, (run.model_version, *run.against), days)
            lacking = kinds_not_kept(states, run.model_version, run.against)
            asked = Asked(run.model_version, predictors, run.against, settings, lacking)
            figures, fields = all_figures(states, asked), tuple(field_summaries(states, asked))
    return Evaluation(tuple(figures), predictors, read.snapshot_version, counts, fields, lacking)


def _keep(
    frame: DataFrame, read: scored.Scored, run: ScoredRun, settings: EvaluationConfig
) -> tuple[tuple[str, ...], dict[str, int]]:
    """Write the states, once all rows are accounted for; return the predictors and the counts."""
    columns = {BASE_RATE: BASE_RATE, SLOT_RATE: SLOT_RATE, MODEL: "p"}
    columns |= {MODEL_RAW: "p_raw"} if read.recalibrated else {}
    columns |= {TRUTH: TRUTH} if run.truth else {}
    columns |= {one.name: one.name for one in settings.predictors}
    joined = Observation("joined")
    rows = state_rows(_observed(frame, joined, columns), columns, settings).persist()
    try:
        sums = rows.groupBy("group_kind", "predictor").agg(
            F.sum("rows").alias("rows"), F.sum("unknown").alias("unknown"), F.count("*").alias("groups")
        )
        found = {(row["group_kind"], row["predictor"]): row for row in sums.collect()}
        counts = _joined_counts(read.rows, joined.get, columns)
        for (kind, predictor), row in found.items():
            require_equal(f"rows of {predictor} by {kind}", read.rows, row["rows"] + row["unknown"])
        for field in settings.fields:
            _require_few(field.name, rows, field.histograms)
        keep_states(rows, run.layout.states, run.days.test.days(), run.model_version, read.snapshot_version)
    finally:
        rows.unpersist()
    everything = found[ALL, MODEL]
    return tuple(columns), counts | {"evaluated": everything["rows"], "label_unknown": everything["unknown"]}


def _require_few(field: str, rows: DataFrame, histograms: bool) -> None:
    values = rows.where(F.col("group_kind") == field).select("group").distinct().count() if histograms else 0
    if values > MOST_BINNED_VALUES:
        raise InputError(
            f"evaluation.fields: '{field}' has {values:,} values on the test days, more than the "
            f"{MOST_BINNED_VALUES:,} that get histograms; leave `histograms` out, and sums are kept of each"
        )


def _read_predictions(spark: SparkSession, run: ScoredRun, version: int, settings: EvaluationConfig) -> scored.Scored:
    command = run.command("score")
    own = [field.name for field in settings.fields if field.name in scored.ID_COLUMNS]
    columns = (*scored.PREDICTION_COLUMNS, *own, *scored.VERSION_COLUMNS)
    of_model = {"model_version": [run.model_version]}
    (table,) = scored.read_table(spark, run.predictions, columns, [of_model], command=command, version=version)
    return scored.read_scored(table.select(*columns), run.days.test.days(), run.objectives, command)


def _with_yardsticks(spark: SparkSession, run: ScoredRun, read: scored.Scored, settings: EvaluationConfig) -> DataFrame:
    """Add labels, fields, the training days' rates, and the truth where the lake has one, to the predictions."""
    objectives, days, command = run.objectives, run.days, run.command("build_features")
    fields = scored.joined_fields(settings, run.values.fields)
    names = ("impression_id", "user_id", "modality", "slot", "date", *map(label_column, objectives), *fields)
    parts = [{"date": part.days()} for part in (days.test, days.train)]
    on_test, on_train = scored.read_table(
        spark, run.table, tuple(dict.fromkeys(names)), parts, command=command, version=read.snapshot_version
    )
    # A row a slot and objective: held here, so that the training days are read once.
    clicks = scored.training_clicks(on_train, objectives).toArrow()
    where = f"the training days {days.train.first} to {days.train.last} in {run.table}"
    scored.require_labelled(clicks, objectives, where, command)
    labelled = scored.with_labels(read.frame, on_test, objectives, fields)
    named = scored.with_values(labelled, run.values.of(read.snapshot_version))
    beside = scored.with_predictors(named, settings.predictors)
    rated = scored.with_rates(beside, spark.createDataFrame(clicks))
    seen = scored.with_user_seen(rated, on_train) if scored.asks_user_seen(settings) else rated
    return scored.with_truth(seen, spark.read.parquet(str(run.layout.truth))) if run.truth else seen


def _observed(frame: DataFrame, into: Observation, columns: Mapping[str, str]) -> DataFrame:
    present = [F.count(column).alias(name) for name, column in columns.items()]
    invalid = [F.count_if(is_invalid(column)).alias(f"invalid_{name}") for name, column in columns.items()]
    return frame.observe(
        into, F.count(F.lit(1)).alias("rows"), F.count_if("matched").alias("matched"), *present, *invalid
    )


def _joined_counts(rows: int, joined: Mapping[str, int], columns: Mapping[str, str]) -> dict[str, int]:
    require_equal("predictions after joining labels, rates and truth", rows, joined["rows"])
    require_equal("predictions that the training table has", rows, joined["matched"])
    for name in columns:
        require_equal(f"predictions with a probability by {name}", rows, joined[name])
        if joined[f"invalid_{name}"]:
            raise MetricError(
                f"{joined[f'invalid_{name}']:,} rows have no probability from 0 to 1 by {name}, or a label other than "
                "0 and 1"
            )
    counts = {"predictions": rows, "found_in_training_table": joined["matched"]}
    return counts | ({"truth_joined": joined[TRUTH]} if TRUTH in columns else {})
