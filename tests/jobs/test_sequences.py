"""A lake with sequences, from its raw lists to predictions, through every job."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import yaml

import camoe
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.snapshot import pin
from camoe.score.encode import encode
from camoe.score.local import score_snapshot
from camoe.score.seen import Work
from camoe.score.spark import score_impressions
from tests.features.lake import config, run_job, users, write_config, write_lake
from tests.paths import ROOT
from tests.score.rows import by_impression, encoded_rows
from tests.train.pipeline import sequence_features, write_pipeline

pytestmark = [pytest.mark.spark, pytest.mark.horovod, pytest.mark.slow]
WORDS = ("jazz", "rock", None, "pop", "folk")


def recent(row):
    """A user's last words at a version of the user: none to five, some null."""
    number = int(row["user"][1:])
    return None if number == 3 else [WORDS[(number + step) % len(WORDS)] for step in range(number)]


def written(folder):
    """The lake of `tests.features.lake`, whose users carry what they heard last, as a list and as a text."""
    heard = [{**row, "recent": recent(row), "heard": "|".join(map(str, recent(row) or []))} for row in users()]
    write_lake(folder, users=heard)
    settings = config(folder)
    settings["sources"]["entities"]["user"]["columns"] |= {"recent": "recent", "heard": "heard"}
    settings["features"]["sequence"] = [
        {"name": "recent", "sql": "user.recent", "max_length": 2},
        {"name": "heard", "sql": "user.heard", "separator": "|", "hashing": {"buckets": 20}, "max_length": 4},
        {"name": "plans", "sql": "array(user.plan)", "vocabulary": "plan", "max_length": 1, "pooling": "sum"},
    ]
    settings["training"] = {"batch_size": 16, "epochs": 2}
    settings["model"] = {"embedding_dim": 4, "experts": 2, "expert": {"hidden": [8, 4]}, "tower_hidden": [4]}
    return write_config(folder, yaml.safe_load(yaml.safe_dump(settings)))


def train(path, workers):
    command = [sys.executable, ROOT / "jobs/train.py", "-np", str(workers), "--config", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_sequences_come_from_the_lake_into_the_model_and_all_ways_of_scoring_agree(spark, tmp_path):
    path = written(tmp_path)
    assert run_job(path) == 0
    pipeline = load(path, Config)
    snapshot, days = pin(pipeline.layout.training), pipeline.days.test.days()
    train(path, 1)
    predictor = camoe.load(pipeline.layout.bundle)
    # Spark writes the partition columns into the files as well; the last slot is that of the folder's name.
    rows = encoded_rows(snapshot, days)
    own = [place for place, name in enumerate(rows.column_names[:-1]) if name != "slot"]
    rows = rows.select([*own, rows.num_columns - 1])
    known = {row["user"]: [word for word in recent(row) or [] if word][-2:] for row in users()}
    raw = pa.table(
        {
            "recent": [known.get(user) for user in rows["user_id"].to_pylist()],
            "slot": rows["slot"], "impression_id": rows["impression_id"],
        }
    )  # fmt: skip
    features = predictor.model.spec.features.model_copy(update={"categorical": (), "numeric": ()})
    alone = features.model_copy(update={"sequence": features.sequence[:1]})
    again = encode(raw, alone, predictor.encoder)
    assert again["seq_recent"].to_pylist() == rows["seq_recent"].to_pylist()
    assert {len(one) for one in rows["seq_recent"].to_pylist()} == {0, 1, 2}
    direct = by_impression(predictor.predict(rows))
    local = by_impression(pa.concat_tables(score_snapshot(predictor.model, snapshot, days)))
    score_impressions(spark, Work(predictor.model, snapshot, days, tmp_path / "predictions"))
    by_spark = by_impression(spark.read.format("delta").load(str(tmp_path / "predictions")).toArrow())
    for found in (local, by_spark):
        assert found.index.tolist() == direct.index.tolist()
        np.testing.assert_allclose(found["p"], direct["p"], atol=1e-6)


def test_one_and_two_workers_make_models_that_predict_the_same(tmp_path):
    path = write_pipeline(tmp_path, {"s0": 331, "s1": 203, "s2": 7}, features=sequence_features())
    layout = load(path, Config).layout
    snapshot = pin(layout.training)
    predictions = []
    for workers in (1, 2):
        train(path, workers)
        predictions.append(camoe.load(layout.bundle).predict(encoded_rows(snapshot))["p_raw"].to_numpy())
    assert predictions[0].std() > 1e-3
    np.testing.assert_allclose(predictions[0], predictions[1], atol=1e-6)
