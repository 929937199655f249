"""Rows of a raw log, as a serving system has them, get the predictions that the trained model gave them in training.

Their history is computed twice: by the build, and by a search of the log and the formulas of docs/history.md.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from math import expm1, log
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy.special import expit

import camoe
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.metrics.platt import Platt
from camoe.model.ensemble import ensemble_of
from camoe.stream.api import all_rows, model_columns
from camoe.train.data.training_inputs import open_training_inputs
from camoe.train.loop.tensors import to_tensors
from camoe.train.spec import model_spec
from features.history.keys import Layout
from features.history.scan import NOTHING
from tests.features import lake
from tests.features.history import oracle
from tests.score.pipeline import METRICS
from tests.score.rows import by_impression
from tests.train.fitting import fitted

HISTORY = {
    "since": lake.DAYS[0],
    "delay_s": 300,
    "objectives": ["click"],
    "windows": ["all", "1d"],
    "keys": {
        "all": [],
        "slot": ["slot"],
        "user": ["user_id"],
        "user_slot": {"by": ["user_id", "slot"], "parent": "slot"},
    },
}
SEQUENCES = [
    {"name": "seen", "sql": "slot", "key": "user", "vocabulary": "slot", "max_length": 4, "age": True,
     "pooling": "decayed", "decay_s": 3600.0},
    {"name": "clicked", "sql": "slot", "key": "user", "objective": "click", "vocabulary": "slot", "max_length": 2,
     "pooling": "attention"},
]  # fmt: skip
TRAINING = {"batch_size": 16, "epochs": 3, "learning_rate": 0.02, "embedding_learning_rate": 0.2, "average": 0.9}
PLATT = Platt(slope=1.3, intercept=-0.2, rows=9, positives=4)


def written(folder):
    lake.write_lake(folder)
    settings = lake.config(folder)
    settings["features"] |= {"history": HISTORY, "sequence": SEQUENCES}
    settings["features"]["numeric"].append({"name": "above", "sql": "features.user_impressions_all - features.plays"})
    settings |= {"training": TRAINING, "model": {"embedding_dim": 4, "experts": 2, "expert": {"hidden": [8, 4]}}}
    return lake.write_config(folder, settings)


def rate(positive, known, weight, parent):
    """As docs/history.md has it."""
    if parent is None:
        return positive / known if known else None
    return (positive + weight * parent) / (known + weight)


def history_of(shown, log_, layout, zone):
    """The numbers of the history of one impression, as a serving system supplies them."""
    told = oracle.known_before(shown, log_, layout, zone)
    found, rates = {}, {}
    for key in layout.history.parents_first:
        for place, window in enumerate(layout.history.windows):
            impressions, known, positive = (
                told[layout.place_of_count(key, name, place)] for name in ("n_impression", "n_click", "p_click")
            )
            parent = rates.get((layout.history.parent_of(key), place))
            rates[key, place] = plain = rate(positive, known, layout.history.smoothing, parent)
            inside = None if plain is None else min(max(plain, 1e-6), 1 - 1e-6)
            found[f"{key}_impressions_{window}"] = impressions
            found[f"{key}_click_rate_{window}"] = None if inside is None else log(inside / (1 - inside))
        for stream in layout.streams:
            last = told[layout.place_of_time(key, stream)]
            found[f"{key}_since_{stream}"] = None if last == NOTHING else (shown.at - last) / 1e6
    return {item.name: found[item.name] for item in layout.history.features}


def raw_rows(config):
    """What a serving system knows of each impression of the log."""
    zone, clicks = config.days.zone, {row["id"] for row in lake.outcomes()}
    sequences = config.features.sequence
    layout = Layout.of(config.features.history, config.sources.objectives, sequences)
    times = {row["id"]: datetime.fromisoformat(row["ts"]).replace(tzinfo=UTC) for row in lake.impressions()}
    log_ = [
        oracle.Shown(
            row["id"], row["user"], row["slot"], int(times[row["id"]].timestamp()) * 1_000_000, (row["id"] in clicks,)
        )
        for row in lake.impressions()
    ]
    for row, shown in zip(lake.impressions(), log_, strict=True):
        at = times[row["id"]]
        versions = [one for one in lake.users() if one["user"] == row["user"] and one["ts"] < row["ts"]]
        user = versions[-1] if versions else {"plan": None, "plays": None, "ts": None}
        since = user["ts"] and (at - datetime.fromisoformat(user["ts"]).replace(tzinfo=UTC)).total_seconds()
        found = {
            "impression_id": row["id"], "slot": row["slot"], "plan": user["plan"], "plays": user["plays"], "age": since,
            "advertiser": f"a{int(row['campaign'][1:]) % 2}", "hour": at.astimezone(ZoneInfo(zone)).hour,
            **history_of(shown, log_, layout, zone),
        }  # fmt: skip
        found["above"] = None if user["plays"] is None else found["user_impressions_all"] - user["plays"]
        for item in sequences:
            values, ages = oracle.sequence_before(shown, log_, item, layout, zone)
            found |= {item.name: values} | ({f"{item.name}_age": [*map(expm1, ages)]} if item.age else {})
        yield found


def as_trained(config, inputs, model):
    """The model's calibrated predictions of the training rows, as training has them, by impression."""
    columns = model_columns(config.features, ("click",), keys=("impression_id",))
    found = {}
    with contextlib.closing(all_rows(inputs.train, columns, 16)) as blocks:
        for block in blocks:
            batch = to_tensors(block, torch.device("cpu"), torch.float32)
            with torch.inference_mode():
                logits = model.eval().logits(batch.categorical, batch.numeric, batch.sequences).numpy()[:, 0]
            found |= dict(zip(block.keys[0], expit(PLATT.slope * logits + PLATT.intercept), strict=True))
    return found


@pytest.mark.slow
def test_rows_of_the_log_get_the_predictions_that_the_model_had_in_training(spark, tmp_path):
    path = written(tmp_path)
    assert lake.run_job(path) == 0
    config = load(path, Config)
    inputs = open_training_inputs(config)
    train_step, _ = fitted(config)
    spec = model_spec(config.model, config.features, config.heads, config.slots, inputs.encoder)
    origin = Origin(inputs.train, inputs.encoder, config)
    model = ensemble_of([train_step.model])
    write_bundle(config.layout.bundle, model, spec, origin, METRICS, calibration={"all": PLATT}, keep=1)
    predictor, expected = camoe.load(config.layout.bundle), as_trained(config, inputs, train_step.model)
    rows = [row for row in raw_rows(config) if row["impression_id"] in expected]
    assert len(rows) == len(expected) == 2 * lake.ROWS_A_DAY
    assert len({tuple(row["clicked"]) for row in rows}) > 2
    assert np.std(list(expected.values())) > 0.01
    served = by_impression(predictor.predict(predictor.encode(pa.Table.from_pylist(rows))))
    wanted = [expected[impression] for impression in served.index]
    np.testing.assert_allclose(served["p"], wanted, rtol=0, atol=1e-5)
    # Each number of the history counts: another one gives another prediction.
    other = [{**row, "user_slot_click_rate_all": 0.0} for row in rows]
    moved = by_impression(predictor.predict(predictor.encode(pa.Table.from_pylist(other))))["p"]
    assert moved.to_numpy() != pytest.approx(wanted, abs=1e-5)
