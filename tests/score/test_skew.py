"""What serves gives the numbers that training saw: raw values through the bundle against the model that was trained."""

from __future__ import annotations

import contextlib

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.special import expit

import camoe
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.encoder import FIRST, MISSING, UNKNOWN
from camoe.metrics.platt import Platt
from camoe.model.ensemble import ensemble_of
from camoe.score.local import score_snapshot
from camoe.stream.ledger import Ledger
from camoe.stream.planning.plan import make_plan
from camoe.stream.planning.world import World
from camoe.stream.reading.columns import model_columns
from camoe.stream.stream import ReadOptions, stream
from camoe.train.data.training_inputs import open_training_inputs
from camoe.train.loop.tensors import to_tensors
from camoe.train.spec import model_spec
from tests.score.pipeline import METRICS
from tests.score.rows import by_impression, encoded_rows
from tests.train.fitting import fitted
from tests.train.pipeline import CONFIG, LONGEST, VALUES, write_pipeline

ROWS = {"s0": 331, "s1": 203, "s2": 70}
# Each kind of feature that a file can declare, numbers and ages of the history among them.
RECENT = {"sql": "recent", "vocabulary": "genre", "max_length": LONGEST, "key": "user", "age": True}
FEATURES = {
    "categorical": CONFIG["features"]["categorical"],
    "numeric": [
        {"name": "tenure", "sql": "tenure", "transform": "log1p"},
        {"name": "spend", "sql": "spend", "transform": "quantile"},
        {"name": "above", "sql": "features.user_click_rate_all - features.tenure", "missing_indicator": False},
    ],
    "sequence": [{"name": "recent", **RECENT, "pooling": "attention"}],
    "history": {
        "since": "2026-01-01",
        "objectives": ["click"],
        "keys": {"all": [], "user": ["user_id"]},
    },
}
PLATT = {
    "audio": Platt(slope=1.3, intercept=-0.2, rows=9, positives=4),
    "video": Platt(rows=9, positives=0, reason="x"),
}
POOLINGS = {"attention": {}, "decayed": {"pooling": "decayed", "decay_s": 90_000.0}}


@pytest.fixture(scope="module", params=[pytest.param("attention", marks=pytest.mark.slow), "decayed"])
def config(request, tmp_path_factory):
    features = FEATURES | {"sequence": [FEATURES["sequence"][0] | POOLINGS[request.param]]}
    quick = {"dtype": "float32", "epochs": 3, "learning_rate": 0.02, "embedding_learning_rate": 0.2, "average": 0.9}
    folder = tmp_path_factory.mktemp("skew")
    return load(write_pipeline(folder, ROWS, features=features, training=CONFIG["training"] | quick), Config)


def as_trained(config, inputs, model):
    """The model's calibrated predictions of the training rows, as training has them, by impression."""
    plan = make_plan(inputs.train, seed=1, epoch=0, batch_size=64, lanes=4)
    columns = model_columns(config.features, ("click",), keys=("impression_id",))
    found = {}
    with contextlib.closing(stream(plan, columns, World(0, 1), ReadOptions(), ledger=Ledger())) as blocks:
        for block in blocks:
            batch = to_tensors(block, torch.device("cpu"), torch.float32)
            with torch.inference_mode():
                logits = model.eval().logits(batch.categorical, batch.numeric, batch.sequences).numpy()
            audio, video = expit(PLATT["audio"].slope * logits[:, 0] + PLATT["audio"].intercept), expit(logits[:, 1])
            found |= dict(zip(block.keys[0], np.where(block.slot == 2, video, audio), strict=True))
    return found


def raw_rows(encoded, features):
    """What a serving system has of the rows: texts, numbers, lists of texts and of seconds."""
    words = {MISSING: None, UNKNOWN: "never seen", **{FIRST + place: value for place, value in enumerate(VALUES)}}
    genre = [words[index] for index in encoded["cat_genre"].to_pylist()]
    recent = [[words[index] for index in one] for one in encoded["seq_recent"].to_pylist()]
    numbers = {item.name: encoded[item.column].cast(pa.float64()) for item in features.numerics}
    ages = [np.expm1(one).tolist() for one in encoded["seq_recent_age"].to_pylist()]
    keys = {name: encoded[name] for name in ("impression_id", "slot")}
    raw = {"genre": pa.array(genre, pa.string()), "recent": pa.array(recent, pa.list_(pa.string()))}
    return pa.table({**keys, **numbers, **raw, "recent_age": pa.array(ages, pa.list_(pa.float64()))})


def test_raw_rows_of_the_training_days_get_the_predictions_that_training_had(config):
    train_step, _ = fitted(config)
    inputs = open_training_inputs(config)
    spec = model_spec(config.model, config.features, config.heads, config.slots, inputs.encoder)
    origin = Origin(inputs.train, inputs.encoder, config)
    write_bundle(
        config.layout.bundle, ensemble_of([train_step.model]), spec, origin, METRICS, calibration=PLATT, keep=1
    )
    predictor = camoe.load(config.layout.bundle)
    days = config.days.train.days()
    expected = as_trained(config, inputs, train_step.model)
    rows = encoded_rows(inputs.train, days)
    # No build writes a missing element.
    encoded = rows.filter(pa.array([MISSING not in one for one in rows["seq_recent"].to_pylist()]))
    served = by_impression(predictor.predict(predictor.encode(raw_rows(encoded, config.features))))
    scored = by_impression(pa.concat_tables(score_snapshot(predictor.model, inputs.train, days)))
    assert len(expected) == len(scored) == 2 * sum(ROWS.values())
    assert len(served) > 0.7 * len(scored)
    assert np.std(list(expected.values())) > 0.05
    for name, found in (("served", served), ("scored", scored)):
        wanted = [expected[impression] for impression in found.index]
        np.testing.assert_allclose(found["p"], wanted, rtol=0, atol=1e-5, err_msg=name)
