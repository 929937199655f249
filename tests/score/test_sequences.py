"""A model with a sequence scores the same through torch, a table of Arrow and the stream, and encodes raw lists."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

import camoe
from camoe.bundle.manifest import WEIGHTS
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.encoder import FIRST, UNKNOWN
from camoe.contracts.features import FeatureSet
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import Moments
from camoe.score.graph_inputs import ScoringError, graph_inputs
from camoe.score.local import score_snapshot
from camoe.score.seen import Seen
from tests.score.pipeline import DAYS, write_scorable
from tests.score.rows import by_impression, encoded_rows, swapped
from tests.train.fitting import fitted, fresh_learner
from tests.train.pipeline import CONFIG, VALUES, logged_features, sequence_features, write_pipeline

POOLINGS = {
    "mean": sequence_features(),
    "sum": sequence_features(pooling="sum"),
    "attention": sequence_features(pooling="attention"),
    "decayed": logged_features(pooling="decayed", decay_s=86400.0),
}


@pytest.fixture(scope="module", params=POOLINGS)
def pipeline(request, tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("scorable"), features=POOLINGS[request.param])


@pytest.fixture(scope="module")
def predictor(pipeline):
    return camoe.load(pipeline.bundle)


def by_torch(pipeline, spec, rows):
    """Each row's probability by the head of its slot, from the bundle's weights."""
    model = Camoe(spec, (Moments(0.0, 1.0),)).eval()
    model.load_state_dict(load_file(pipeline.bundle / WEIGHTS))
    inputs = graph_inputs(rows, spec)
    owner = [spec.heads.heads.index(spec.heads.serving_head(slot, "click")) for slot in spec.slots.slots]
    with torch.inference_mode():
        logits, _ = model(*map(torch.from_numpy, (inputs.categorical, inputs.numeric, inputs.sequences)))
    return torch.sigmoid(logits).numpy()[np.arange(len(logits)), np.array(owner)[inputs.slot]]


def test_graphs_stream_and_torch_agree_and_the_sequence_counts(pipeline, predictor):
    rows = encoded_rows(pipeline.snapshot)
    direct = predictor.predict(rows)
    np.testing.assert_allclose(direct["p_raw"], by_torch(pipeline, predictor.model.spec, rows), atol=1e-6)
    local = pa.concat_tables(score_snapshot(predictor.model, pipeline.snapshot, DAYS))
    np.testing.assert_allclose(by_impression(local)["p_raw"], by_impression(direct)["p_raw"], atol=1e-6)
    empty = swapped(rows, "seq_recent", [[]] * rows.num_rows)
    if "seq_recent_age" in predictor.model.spec.features.columns:
        empty = swapped(empty, "seq_recent_age", pa.array([[]] * rows.num_rows, pa.list_(pa.float32())))
    has = np.array([len(one) > 0 for one in rows["seq_recent"].to_pylist()])
    moved = np.abs(predictor.predict(empty)["p_raw"].to_numpy() - direct["p_raw"].to_numpy())
    assert moved[has].max() > 1e-3
    assert moved[~has].max() == 0


def test_elements_that_the_model_does_not_know_are_counted(pipeline, predictor):
    elements = [index for one in encoded_rows(pipeline.snapshot)["seq_recent"].to_pylist() for index in one]
    seen = Seen()
    list(score_snapshot(predictor.model, pipeline.snapshot, DAYS, seen))
    unknown = seen.unknown
    assert unknown.counts()["seq_recent"] == {"unknown": elements.count(UNKNOWN), "of": len(elements)}
    assert elements.count(UNKNOWN) > 0


def test_raw_lists_are_encoded_by_the_bundle(predictor):
    raw = {
        "slot": ["s0"] * 4,
        "genre": [VALUES[0]] * 4,
        "tenure": [1.0] * 4,
        "recent": [[VALUES[1], None, "new"], None, [], [*VALUES]],
    }
    aged = predictor.model.spec.features.sequence[0].age
    if aged:
        raw["recent_age"] = [[59.0, 30.0, 1.0], None, [], [10.0 * back for back in range(len(VALUES), 0, -1)]]
    encoded = predictor.encode(pa.table(raw))
    if aged:
        ages = [[59.0, 1.0], [], [], [30.0, 20.0, 10.0]]
        found = encoded["seq_recent_age"].to_pylist()
        assert found == [pytest.approx(np.log1p(one).tolist(), rel=1e-6) for one in ages]
    last = [FIRST + len(VALUES) - back for back in (3, 2, 1)]
    assert encoded["seq_recent"].to_pylist() == [[FIRST + 1, 1], [], [], last]
    assert predictor.predict(encoded).num_rows == 4
    with pytest.raises(ScoringError, match="column recent is string, where lists are needed"):
        predictor.encode(pa.table({**raw, "recent": ["x"] * 4}))


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([[1, 2, 3, 4]], "seq_recent has a list of 4 elements, where at most 3 fit; encode raw values first"),
        ([[1, -2]], "seq_recent has the index -2; indices begin at 0"),
        ([[1, None]], "seq_recent has nulls; a row without elements is an empty list"),
    ],
)
def test_lists_that_no_build_makes_are_refused(pipeline, predictor, lists, message):
    rows = encoded_rows(pipeline.snapshot).slice(0, 1)
    with pytest.raises(ScoringError, match=message):
        predictor.predict(swapped(rows, "seq_recent", lists))


@pytest.fixture(scope="module")
def aged(tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("aged"), features=POOLINGS["decayed"])


@pytest.mark.parametrize(
    ("ages", "message"),
    [
        ([[1.0]], "seq_recent has 2 elements in a row with 1 ages"),
        ([[1.0, -2.0]], "seq_recent_age has an age that is no number from 0 on; give log1p of seconds"),
        ([[1.0, float("nan")]], "seq_recent_age has an age that is no number from 0 on; give log1p of seconds"),
        ([[1.0, None]], "seq_recent_age has nulls; a row without elements is an empty list"),
        ([[1, 2]], "seq_recent_age is list<item: int64>, where lists of ages are needed"),
    ],
)
def test_ages_that_no_build_makes_are_refused(aged, ages, message):
    rows = swapped(encoded_rows(aged.snapshot).slice(0, 1), "seq_recent", [[1, 2]])
    with pytest.raises(ScoringError, match=re.escape(message)):
        camoe.load(aged.bundle).predict(swapped(rows, "seq_recent_age", ages))


@pytest.mark.parametrize(
    ("ages", "message"),
    [
        ([[1.0]], "recent_age has other lengths than the sequence; give one age an element"),
        ([[1.0, -2.0]], "recent_age has an age that is no number of seconds from 0 on"),
        ([["x", "y"]], "recent_age is list<item: string>, where lists of seconds are needed"),
        ([5.0], "recent_age is double, where lists of seconds are needed"),
    ],
)
def test_raw_ages_that_mean_nothing_are_refused(aged, ages, message):
    raw = {"slot": ["s0"], "genre": [VALUES[0]], "tenure": [1.0], "recent": [[VALUES[0], VALUES[1]]]}
    with pytest.raises(ScoringError, match=re.escape(message)):
        camoe.load(aged.bundle).encode(pa.table({**raw, "recent_age": ages}))


@pytest.mark.parametrize("pooling", ["attention", "decayed"])
def test_training_learns_through_the_pooling_and_goes_on_bit_for_bit(tmp_path, pooling):
    """The activation unit moves; a run from its checkpoint within an epoch gives the same weights."""
    training = CONFIG["training"] | {"checkpoint": {"every_steps": 3, "keep": 99}}
    path = write_pipeline(tmp_path, {"s0": 90, "s1": 70, "s2": 40}, features=POOLINGS[pooling], training=training)
    config = load(path, Config)
    fresh, _ = fresh_learner(config)
    train_step, history = fitted(config)
    for name, weight in fresh.model.sequences.named_parameters():
        assert not torch.equal(weight, dict(train_step.model.sequences.named_parameters())[name])
    within = next(config.layout.checkpoints.glob("*-epoch0001-step00000003"))
    _, again = fitted(config, within)
    assert [one.weights_hash for one in again.epochs] == [one.weights_hash for one in history.epochs]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"pooling": "attention", "vocabulary": None}, "attention compares its elements with the row's own"),
        ({"pooling": "decayed", "decay_s": 60.0}, "pooling decayed needs age: true and decay_s"),
        ({"decay_s": 60.0}, "decay_s is for pooling decayed"),
    ],
)
def test_a_pooling_without_what_it_needs_is_refused(declared, message):
    with pytest.raises(ValueError, match=message):
        FeatureSet.model_validate(sequence_features(**declared))


def test_a_pooling_can_change_without_a_rebuild():
    hashes = {FeatureSet.model_validate(sequence_features(pooling=one)).schema_hash() for one in ("mean", "attention")}
    aged = [logged_features(), logged_features(pooling="decayed", decay_s=60.0)]
    assert len(hashes) == len({FeatureSet.model_validate(one).schema_hash() for one in aged}) == 1
