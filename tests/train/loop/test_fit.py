"""When training ends before its epochs are over, which weights it ends with, and what is told of it."""

from __future__ import annotations

import json
import math

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from camoe.contracts.files import write_json
from camoe.train.checkpoint.folder import complete, newest
from camoe.train.checkpoint.history import EpochResult, History, Validation
from camoe.train.data.training_inputs import open_training_inputs
from camoe.train.loop.fit import common_hash, validation_steps
from camoe.train.training_metrics import training_metrics
from tests.train.fitting import fitted, fresh_learner
from tests.train.pipeline import CONFIG, write_pipeline

ROWS = {"s0": 60, "s1": 40, "s2": 30}
EPOCHS = 15
# Few rows at high rates: the model soon knows them by heart, and the validation days get worse.
HOT = {
    "batch_size": 64, "epochs": EPOCHS, "learning_rate": 0.05, "embedding_learning_rate": 0.5,
    "warmup_steps": 0,
}  # fmt: skip


def test_the_schedule_is_run_to_its_end_and_the_best_weights_stay_also_when_it_goes_on(tmp_path):
    """Within a cosine the gain may come last."""
    config = load(write_pipeline(tmp_path, ROWS, training=CONFIG["training"] | HOT), Config)
    train_step, history = fitted(config)
    scores = [result.validation.score for result in history.epochs]
    best = scores.index(min(scores))
    assert best + 1 < len(scores) == EPOCHS
    hashes = [result.weights_hash for result in history.epochs]
    assert len(set(hashes)) == len(hashes)
    assert common_hash(train_step.model, train_step.workers) == hashes[best]
    other, again = fitted(config, newest(config.layout.checkpoints))
    assert again == history
    assert common_hash(other.model, other.workers) == hashes[best]


@pytest.mark.parametrize(
    ("every", "steps", "expected"),
    [
        (None, 10, set()),
        (3, 10, {3, 6, 9}),
        (5, 10, {5}),
        (10, 10, set()),
        (11, 10, set()),
        (1, 4, {1, 2, 3}),
        (0.25, 10, {2, 5, 8}),
        (0.5, 7, {4}),
        (1.0, 10, set()),
        (0.001, 4, {1, 2, 3}),
    ],
)
def test_validations_within_an_epoch_come_at_even_distances_and_never_twice_at_its_end(every, steps, expected):
    assert validation_steps(every, steps) == expected


def outline(history):
    """Everything that a run which went on must have in common with the one that was not broken."""
    return [
        (result.losses, result.weights_hash, result.planned, result.rows, result.validation, result.checks)
        for result in history.epochs
    ]


@pytest.mark.parametrize("average", [None, 0.5])
def test_a_validation_within_an_epoch_chooses_weights_and_every_checkpoint_goes_on_to_the_same(tmp_path, average):
    """An epoch is five steps."""
    # At such rates the first validation is the best.
    rates = {"learning_rate": 0.15, "embedding_learning_rate": 1.5}
    within = {"epochs": 3, "validate_every": 2, "average": average, "checkpoint": {"keep": 99}, **rates}
    config = load(write_pipeline(tmp_path, ROWS, training=CONFIG["training"] | HOT | within), Config)
    train_step, history = fitted(config)
    scores = [validation.score for _, validation in history.validations]
    best = scores.index(min(scores))
    assert len(scores) == 3 * 3
    assert history.best_place.step > 0
    assert [check.step for check in history.epochs[0].checks] == [2, 4]
    assert all(result.rows == result.planned for result in history.epochs)
    hashes = [one.weights_hash for result in history.epochs for one in (*result.checks, result)]
    assert common_hash(train_step.model, train_step.workers) == hashes[best]
    for start in complete(config.layout.checkpoints):
        other, again = fitted(config, start)
        assert outline(again) == outline(history)
        assert common_hash(other.model, other.workers) == hashes[best]


@pytest.mark.parametrize("every", [0, -1, 0.0, 1.5])
def test_a_distance_of_validations_that_means_nothing_is_refused(tmp_path, every):
    with pytest.raises(ConfigError, match=r"training\.validate_every"):
        write_pipeline(tmp_path, ROWS, training=CONFIG["training"] | {"validate_every": every})


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_nothing_can_be_drawn_from_is_refused(tmp_path, seed):
    with pytest.raises(ConfigError, match=r"'training\.seed': Input should be (greater|less) than"):
        write_pipeline(tmp_path, ROWS, training=CONFIG["training"] | {"seed": seed})


def test_metrics_are_json_where_the_validation_rows_tell_nothing(tmp_path):
    config = load(write_pipeline(tmp_path, ROWS), Config)
    train_step, _ = fresh_learner(config)
    told_nothing = Validation((math.nan, math.nan), ((0.5, 0.5), (0.5, 0.5)), math.inf)
    history = History((EpochResult(0, (0.7, 0.6), 9, 9, 1.0, "hash", told_nothing),))
    inputs = open_training_inputs(config)
    document = training_metrics(config, inputs, train_step, [history])
    write_json(tmp_path / "metrics.json", document)
    (epoch,) = json.loads((tmp_path / "metrics.json").read_text())["epochs"]
    assert (epoch["validation_ne"], epoch["validation_score"]) == ([None, None], None)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_never_written_as_json(tmp_path, value):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "metrics.json", {"epochs": [{"score": value}]})
    assert not list(tmp_path.iterdir())


def test_training_of_so_many_steps_ends_within_an_epoch_and_goes_on_there(tmp_path):
    """Two days of 130 rows are five batches; the last epoch has the three that are left."""
    some = {"steps": 8, "checkpoint": {"every_steps": 2, "keep": 9}}
    config = load(write_pipeline(tmp_path, ROWS, training=CONFIG["training"] | some), Config)
    _, history = fitted(config)
    assert [len(result.losses) for result in history.epochs] == [5, 3]
    assert [(result.planned, result.rows) for result in history.epochs] == [(260, 260), (192, 192)]
    (within,) = config.layout.checkpoints.glob("*-epoch0001-step00000002")
    _, again = fitted(config, within)
    assert [result.losses for result in again.epochs] == [result.losses for result in history.epochs]
    assert [result.weights_hash for result in again.epochs] == [result.weights_hash for result in history.epochs]
    assert [result.rows for result in again.epochs] == [260, 192]
