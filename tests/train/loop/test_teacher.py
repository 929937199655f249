"""A teacher's probabilities enter the loss beside the labels, and nothing else of training."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError, TrainingError
from camoe.contracts.features import FeatureSet
from camoe.stream.ledger import Ledger
from camoe.stream.planning.world import World
from camoe.stream.reading.columns import model_columns
from camoe.stream.stream import ReadOptions, stream
from camoe.train.loop.teacher import Teacher
from tests.train.fitting import fresh_learner
from tests.train.pipeline import CONFIG, TARGETS, write_pipeline

NAN = float("nan")
ROWS = {"s0": 90, "s1": 70, "s2": 40}
TAUGHT = {**CONFIG["features"], "targets": TARGETS}
HEADS = [
    *CONFIG["heads"]["heads"],
    {"name": "finish", "objective": "completion", "where": {"slot": ["s1"]}, "weight": 2.0},
]
SOURCES = {
    "impressions": CONFIG["sources"]["impressions"] | {"labels": {"click": "click", "completion": "completion"}},
    "objectives": {"click": {}, "completion": {}},
}


def bce(y, z):
    return -(y * np.log(expit(z)) + (1 - y) * np.log1p(-expit(z)))


def test_the_loss_is_the_declared_mixture_at_the_odds_among_kept_rows():
    """By the written-out loss, at logits among all rows z: the model's and the teacher's are shifted alike."""
    random = np.random.default_rng(1)
    told, label = np.array([0.2, 0.0, 1.0, NAN, 0.7]), np.array([[0, 1], [0, 0], [1, 1], [1, 0], [1, 1]])
    rate, z, weight = np.array([0.1, 1.0]), random.normal(size=(5, 2)), 0.3
    teacher = Teacher(torch.tensor([True, True]), weight, "t")
    mixed = teacher.mixed(*(torch.from_numpy(of) for of in (label, told, rate))).numpy()
    for row, head in np.ndindex(5, 2):
        among = z[row, head] - np.log(rate[head])
        expected = bce(label[row, head], among)
        if not np.isnan(told[row]):
            with np.errstate(divide="ignore"):
                taught = expit(logit(told[row]) - np.log(rate[head]))
            expected = weight * expected + (1 - weight) * bce(taught, among)
        assert bce(mixed[row, head], among) == pytest.approx(expected, rel=1e-12)


def test_heads_of_other_objectives_and_rows_that_the_teacher_leaves_out_have_their_labels():
    teacher = Teacher(torch.tensor([True, False]), 0.25, "t")
    label = torch.tensor([[1, 0], [0, 1]])
    found = teacher.mixed(label, torch.tensor([0.5, NAN]), torch.ones(2))
    assert found.tolist() == [[0.625, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("value", [-0.1, 1.5, float("inf")])
def test_what_is_no_probability_is_refused_by_name(value):
    teacher = Teacher(torch.tensor([True]), 0.5, "oof")
    with pytest.raises(TrainingError, match=rf"the target oof has the value {value:g}, and .* takes probabilities"):
        teacher.mixed(torch.tensor([[1], [1]]), torch.tensor([0.5, value]), torch.ones(1))


def first_block(config, data):
    """The rows of the first step, by a stream of its own."""
    plan = data.epoch(config.training, 0)
    with contextlib.closing(stream(plan, data.columns, World(0, 1), ReadOptions(), ledger=Ledger())) as blocks:
        return next(blocks)


@pytest.mark.parametrize("negatives", [{}, {"audio": 0.3, "video": 0.5}])
def test_a_step_has_the_loss_written_out_from_the_columns_of_the_table(tmp_path, negatives):
    given = {"teacher": {"column": "oof", "weight": 0.4}, "negatives": negatives}
    path = write_pipeline(
        tmp_path, ROWS, features=TAUGHT, heads={"heads": HEADS}, sources=SOURCES, training=CONFIG["training"] | given
    )
    config = load(path, Config)
    train_step, data = fresh_learner(config)
    block = first_block(config, data)
    told = block.targets[:, 0].astype(np.float64)
    assert 0 < np.count_nonzero(np.isnan(told)) < len(told)
    with torch.no_grad():
        batch = [torch.from_numpy(np.array(of)) for of in (block.categorical, block.numeric)]
        z = train_step.model(batch[0], batch[1].double(), None)[0].numpy()
    draw = np.random.default_rng(0).random(block.rows)
    found = train_step.step(block, torch.from_numpy(draw))
    expected = 0.0
    for head, (slots, column, weight) in enumerate([((0, 1), 0, 1), ((2,), 0, 1), ((1,), 1, 2)]):
        rate = negatives.get(HEADS[head]["name"], 1.0)
        y, among = block.labels[:, column].astype(float), z[:, head] - np.log(rate)
        kept = np.isin(block.slot, slots) & (y >= 0) & ((y > 0) | (draw < rate))
        loss = bce(y, among)
        if column == 0:
            taught = bce(expit(logit(told) - np.log(rate)), among)
            loss = np.where(np.isnan(told), loss, 0.4 * loss + 0.6 * taught)
        expected += weight * loss[kept].sum() / kept.sum() if kept.any() else 0.0
    assert found.loss == pytest.approx(expected, rel=1e-6)


def test_targets_are_beside_the_features_and_no_model_reads_them():
    with_target, without = FeatureSet.model_validate(TAUGHT), FeatureSet.model_validate(CONFIG["features"])
    assert with_target.columns == without.columns
    assert with_target.schema_hash() == without.schema_hash()
    assert "target_oof" not in model_columns(with_target, ("click",)).names
    assert "target_oof" in model_columns(with_target, ("click",), targets=("oof",)).names


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"column": "other"}, "'other' is none of features.targets; "),
        ({"column": "oof", "objective": "like"}, "no head has the objective 'like'"),
        ({"column": "oof", "weight": 1.0}, "training.teacher.weight"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused(tmp_path, teacher, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        write_pipeline(tmp_path, ROWS, features=TAUGHT, training=CONFIG["training"] | {"teacher": teacher})


def test_a_table_without_the_target_is_refused_by_its_name(tmp_path):
    targets = [{"name": "newer", "sql": "newer"}]
    training = CONFIG["training"] | {"teacher": {"column": "newer"}}
    path = write_pipeline(tmp_path, ROWS, features={**CONFIG["features"], "targets": targets}, training=training)
    with pytest.raises(Exception, match="has no column target_newer; build the features again with --replace"):
        fresh_learner(load(path, Config))
