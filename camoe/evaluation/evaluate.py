"""From the tables of a run to the states of every predictor on every group, with the rows accounted for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.days import Days
from camoe.contracts.layout import Layout
from camoe.contracts.places.counts import require_equal
from camoe.contracts.places.pins import pinned
from camoe.contracts.schema import label_column
from camoe.evaluation import scored
from camoe.evaluation.states import cells, group_states
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.table import ALL, BASE_RATE, MODEL, MODEL_RAW, SLOT_RATE, TRUTH, StateKey


@dataclass(frozen=True)
class ScoredRun:
    """Predictions of one model version on the test days of `days`, for each of `objectives`, in the tables of `layout`.

    `truth`: whether the lake under `layout` is the synthetic one that they are of; a lake that lies elsewhere has
    nothing to do with the truth there. `command` gives the command that runs a job of the chain again, by its name.
    """

    model_version: str
    days: Days
    objectives: tuple[str, ...]
    layout: Layout
    truth: bool
    command: Callable[[str], str]


@dataclass(frozen=True)
class Evaluation:
    """States by objective, predictor and group; the training-table version behind them; rows at each point."""

    states: Mapping[StateKey, Histogram]
    predictors: tuple[str, ...]
    snapshot_version: int
    counts: Mapping[str, int]


def evaluate(spark: SparkSession, run: ScoredRun, settings: EvaluationConfig) -> Evaluation:
    """Build the states of a model version on the test days, from one version of each table whatever commits meanwhile.

    Raises:
        InputError: predictions or the training table are missing, lack a day or a column, or know no training label.
        CountError: rows were lost or doubled on the way from the predictions to the states.
        MetricError: a prediction is no probability.
    """
    layout, why = run.layout, "evaluation reads it"
    version = scored.newest_version(layout.predictions, run.command("score"))
    with pinned(layout.pins, layout.predictions, version, "evaluate", why):
        read = _read_predictions(spark, run, version)
        with pinned(layout.pins, layout.training, read.snapshot_version, "evaluate", why):
            return _evaluation(_with_yardsticks(spark, run, read), read, run, settings)


def _evaluation(frame: DataFrame, read: scored.Scored, run: ScoredRun, settings: EvaluationConfig) -> Evaluation:
    columns = {BASE_RATE: BASE_RATE, SLOT_RATE: SLOT_RATE, MODEL: "p"}
    columns |= {MODEL_RAW: "p_raw"} if read.recalibrated else {}
    columns |= {TRUTH: TRUTH} if run.truth else {}
    joined = Observation("joined")
    table = cells(_observed(frame, joined, columns), columns, settings.groups, settings.user_buckets).toArrow()
    counts = _joined_counts(read.rows, joined.get, columns)
    states = group_states(table, settings.groups, settings.user_buckets)
    counts |= _state_counts(states, columns, read.rows)
    return Evaluation(states, tuple(columns), read.snapshot_version, counts)


def _read_predictions(spark: SparkSession, run: ScoredRun, version: int) -> scored.Scored:
    command = run.command("score")
    columns = (*scored.PREDICTION_COLUMNS, *scored.VERSION_COLUMNS)
    table = scored.read_table(spark, run.layout.predictions, columns, command, version)
    of_model = table.where(F.col("model_version") == run.model_version)
    return scored.read_scored(of_model, run.days.test.days(), run.objectives, command)


def _with_yardsticks(spark: SparkSession, run: ScoredRun, read: scored.Scored) -> DataFrame:
    """Add labels, the training days' rates, and the truth where the lake has one, to the predictions."""
    layout, objectives, days, command = run.layout, run.objectives, run.days, run.command("build_features")
    columns = ("impression_id", "modality", "slot", "date", *map(label_column, objectives))
    training = scored.read_table(spark, layout.training, columns, command, read.snapshot_version)
    on_test, on_train = (training.where(F.col("date").isin(list(part.days()))) for part in (days.test, days.train))
    # A row a slot and objective: held here, so that the training days are read once.
    clicks = scored.training_clicks(on_train, objectives).toArrow()
    where = f"the training days {days.train.first} to {days.train.last} in {layout.training}"
    scored.require_labelled(clicks, objectives, where, command)
    labelled = scored.with_labels(read.frame, on_test, objectives)
    rated = scored.with_rates(labelled, spark.createDataFrame(clicks))
    return scored.with_truth(rated, spark.read.parquet(str(layout.truth))) if run.truth else rated


def _observed(frame: DataFrame, into: Observation, columns: Mapping[str, str]) -> DataFrame:
    present = [F.count(column).alias(name) for name, column in columns.items()]
    return frame.observe(into, F.count(F.lit(1)).alias("rows"), F.count_if("matched").alias("matched"), *present)


def _joined_counts(rows: int, joined: Mapping[str, int], columns: Mapping[str, str]) -> dict[str, int]:
    require_equal("predictions after joining labels, rates and truth", rows, joined["rows"])
    require_equal("predictions that the training table has", rows, joined["matched"])
    for name in columns:
        require_equal(f"predictions with a probability by {name}", rows, joined[name])
    counts = {"predictions": rows, "found_in_training_table": joined["matched"]}
    return counts | ({"truth_joined": joined[TRUTH]} if TRUTH in columns else {})


def _state_counts(states: Mapping[StateKey, Histogram], columns: Mapping[str, str], rows: int) -> dict[str, int]:
    """Count labelled and unlabelled rows, after checking that each predictor and each kind of group holds all rows."""
    kinds = sorted({key.group_kind for key in states})
    for predictor in columns:
        for kind in kinds:
            chosen = [state for key, state in states.items() if (key.predictor, key.group_kind) == (predictor, kind)]
            require_equal(f"rows of {predictor} by {kind}", rows, sum(state.rows + state.unknown for state in chosen))
    everything = [state for key, state in states.items() if (key.predictor, key.group_kind) == (MODEL, ALL)]
    return {
        "evaluated": sum(state.rows for state in everything),
        "label_unknown": sum(state.unknown for state in everything),
    }
