"""A teacher's probabilities enter the loss beside the labels, and nothing else of training."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.special import expit, logit

import camoe
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.config.training import FoldConfig, TeacherConfig
from camoe.contracts.config_file import load
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import ConfigError, TrainingError
from camoe.contracts.features import FeatureSet
from camoe.metrics.platt import Platt
from camoe.metrics.user_buckets import user_buckets
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import Moments
from camoe.score.graph_inputs import GraphInputs
from camoe.score.scorer import Scorer
from camoe.stream.reading.columns import UNKNOWN_LABEL, model_columns
from camoe.train.data.training_inputs import open_training_inputs
from camoe.train.loop.teacher import ColumnTold, Teacher, require_known_values
from camoe.train.loop.tensors import Tensors, to_tensors
from camoe.train.spec import model_spec
from tests.score.pipeline import METRICS
from tests.train.fitting import first_block, fresh_learner
from tests.train.pipeline import CONFIG, TARGETS, write_pipeline

ONE_A_SLOT = [
    *({"name": slot, "objective": "click", "where": {"slot": [slot]}} for slot in ("s0", "s1", "s2")),
    {"name": "ends", "objective": "completion", "where": {"slot": ["s0", "s1"]}},
]
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


def taught_by(weight):
    """A teacher whose probabilities a test gives."""
    return Teacher(lambda batch: batch.targets, weight, "target oof")


def bce(y, z):
    return -(y * np.log(expit(z)) + (1 - y) * np.log1p(-expit(z)))


def test_the_loss_is_the_declared_mixture_at_the_odds_among_kept_rows():
    """By the written-out loss, at logits among all rows z: the model's and the teacher's are shifted alike."""
    random = np.random.default_rng(1)
    told, label = np.array([0.2, 0.0, 1.0, NAN, 0.7]), np.array([[0, 1], [0, 0], [1, 1], [1, 0], [1, 1]])
    rate, z, weight = np.array([0.1, 1.0]), random.normal(size=(5, 2)), 0.3
    each = np.repeat(told[:, None], 2, axis=1)
    mixed = taught_by(weight).mixed(*(torch.from_numpy(of) for of in (label, each, rate))).numpy()
    for row, head in np.ndindex(5, 2):
        among = z[row, head] - np.log(rate[head])
        expected = bce(label[row, head], among)
        if not np.isnan(told[row]):
            with np.errstate(divide="ignore"):
                taught = expit(logit(told[row]) - np.log(rate[head]))
            expected = weight * expected + (1 - weight) * bce(taught, among)
        assert bce(mixed[row, head], among) == pytest.approx(expected, rel=1e-12)


def test_heads_of_other_objectives_and_rows_that_the_teacher_leaves_out_have_their_labels():
    empty = torch.empty(2, 0)
    targets = torch.tensor([[0.5], [NAN]])
    batch = Tensors(empty, empty, empty, empty, torch.zeros(2, dtype=torch.int64), targets)
    told = ColumnTold(torch.tensor([True, False]))(batch)
    found = taught_by(0.25).mixed(torch.tensor([[1, 0], [0, 1]]), told, torch.ones(2))
    assert found.tolist() == [[0.625, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("value", [-0.1, 1.5, float("inf")])
def test_what_is_no_probability_is_refused_by_name(value):
    with pytest.raises(TrainingError, match=rf"the target oof has the value {value:g}, and .* takes probabilities"):
        taught_by(0.5).mixed(torch.tensor([[1], [1]]), torch.tensor([[0.5], [value]]), torch.ones(1))


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
        ({"column": "oof", "bundle": "b"}, "name either the column or the bundle of the teacher"),
        ({"weight": 0.5}, "name either the column or the bundle of the teacher"),
        ({"bundles": ["a", "b"], "bundle": "b"}, "name either the column or the bundle of the teacher"),
        ({"bundles": ["a"]}, "bundles are of two folds of users or more"),
        ({"bundle": "b", "objective": "click"}, "a bundle teaches every objective that it serves"),
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


def bundle_of(config, folder, encoder=None, left_out=None):
    """The bundle of a model that nobody trained, of one head a slot and objective, calibrated in one of them."""
    folder.mkdir()
    path = write_pipeline(folder, ROWS, heads={"heads": ONE_A_SLOT}, sources=SOURCES)
    own = load(path, Config, ["training.dtype=float32"])
    inputs = open_training_inputs(config)
    torch.manual_seed(7 if left_out is None else 7 + left_out.fold)
    spec = model_spec(own.model, own.features, own.heads, own.slots, inputs.encoder)
    model = Camoe(spec, [Moments(0.0, 1.0)] * len(spec.features.numerics))
    calibration = {head["name"]: Platt(rows=1, positives=0, reason="few") for head in ONE_A_SLOT}
    calibration["s1"] = Platt(slope=0.5, intercept=-1.0, rows=100, positives=50)
    training = own.training.model_copy(update={"left_out": left_out})
    origin = Origin(inputs.train, encoder or inputs.encoder, own.model_copy(update={"training": training}))
    write_bundle(own.layout.bundle, model, spec, origin, METRICS, calibration=calibration, keep=1)
    return own.layout.bundle


def test_another_model_teaches_each_objective_by_its_head_of_the_slot(tmp_path):
    """Two heads by modality and one of another objective learn from a model of a head a slot."""
    plain = load(write_pipeline(tmp_path, ROWS, heads={"heads": HEADS}, sources=SOURCES), Config)
    bundle = bundle_of(plain, tmp_path / "teacher")
    taught = plain.training.model_copy(update={"teacher": TeacherConfig(bundle=bundle, weight=0.3)})
    config = plain.model_copy(update={"training": taught})
    train_step, data = fresh_learner(config)
    block = first_block(config, data)
    told = train_step.teacher.told(to_tensors(block, torch.device("cpu"), torch.float64)).numpy()
    model = camoe.load(bundle).model
    slots = pa.array(np.array([slot.id for slot in config.slots.slots])[block.slot])
    inputs = GraphInputs(
        *(of.astype(np.int64) for of in (block.slot, block.categorical)),
        block.numeric,
        np.empty((block.rows, 0), np.int64),
    )
    scored = Scorer(model).predict_inputs(inputs, pa.table({"row": np.arange(block.rows), "slot": slots})).to_pandas()
    expected = np.full((block.rows, 3), NAN)
    for head, objective in enumerate(["click", "click", "completion"]):
        own = scored[scored.objective == objective]
        expected[own.row, head] = own.p
    assert np.isnan(expected[:, 2]).any()
    np.testing.assert_allclose(told, expected, rtol=1e-5)
    assert train_step.step(block).loss > 0


def test_a_teacher_of_other_features_or_values_is_refused(tmp_path):
    plain = load(write_pipeline(tmp_path, ROWS, heads={"heads": HEADS}, sources=SOURCES), Config)
    other = Encoder(1, {"genre": ("z", "y")})
    bundle = bundle_of(plain, tmp_path / "teacher", other)
    training = plain.training.model_copy(update={"teacher": TeacherConfig(bundle=bundle)})
    with pytest.raises(TrainingError, match=r"the vocabularies of the teacher .* are not continued by encoder version"):
        require_known_values(training, open_training_inputs(plain).encoder)
    features = {**CONFIG["features"], "numeric": []}
    (tmp_path / "fewer").mkdir()
    fewer = write_pipeline(tmp_path / "fewer", ROWS, features=features, heads={"heads": HEADS}, sources=SOURCES)
    config = load(fewer, Config)
    with pytest.raises(TrainingError, match="reads other features than this run; name one that was trained on them"):
        fresh_learner(config.model_copy(update={"training": training}))


def test_rows_of_the_users_that_are_left_out_teach_nothing(tmp_path):
    """The loss of a step is that of the same rows with those users' labels unknown."""
    path = write_pipeline(tmp_path, ROWS, heads={"heads": HEADS}, sources=SOURCES)
    config, folds = load(path, Config), FoldConfig(fold=1, of=2)
    training = config.training.model_copy(update={"left_out": folds})
    train_step, data = fresh_learner(config.model_copy(update={"training": training}))
    whole, _ = fresh_learner(config)
    block = first_block(config, data)
    gone = user_buckets(block.keys[0], folds.of) == folds.fold
    assert 0 < gone.sum() < block.rows
    found = train_step.step(block)
    block.labels[gone] = UNKNOWN_LABEL
    expected = whole.step(block)
    assert (found.rows, found.loss) == (expected.rows, pytest.approx(expected.loss, rel=1e-12))


@pytest.mark.slow
def test_each_row_is_taught_by_the_model_that_has_not_seen_its_user(tmp_path):
    plain = load(write_pipeline(tmp_path, ROWS, heads={"heads": HEADS}, sources=SOURCES), Config)
    bundles = tuple(bundle_of(plain, tmp_path / f"fold{fold}", left_out=FoldConfig(fold=fold, of=2)) for fold in (0, 1))

    def taught(**teacher):
        training = plain.training.model_copy(update={"teacher": TeacherConfig(**teacher)})
        return fresh_learner(plain.model_copy(update={"training": training}))

    train_step, data = taught(bundles=bundles)
    batch = to_tensors(first_block(plain, data), torch.device("cpu"), torch.float64)
    told = train_step.teacher.told(batch)
    each = [taught(bundle=bundle)[0].teacher.told(batch) for bundle in bundles]
    fold = user_buckets(batch.keys[0], 2)
    for row in range(len(fold)):
        torch.testing.assert_close(told[row], each[fold[row]][row], equal_nan=True)
    with pytest.raises(TrainingError, match=r"has not left out fold 0 of 2 of the users, on whose rows it would teach"):
        taught(bundles=bundles[::-1])
