"""The whole chain as a user runs it, every real part in its place, and the bar that it has to clear."""

from __future__ import annotations

import json
import sys
from collections import Counter
from itertools import chain

import pyarrow.parquet as pq
import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.snapshot import pin
from camoe.stream.ledger import Ledger
from camoe.stream.planning.plan import make_plan
from camoe.stream.planning.world import World
from camoe.stream.reading.columns import model_columns
from camoe.stream.stream import ReadOptions, stream
from tests.jobs.commands import run, spark_job
from tests.paths import ROOT

pytestmark = [pytest.mark.spark, pytest.mark.horovod]


def demo(*arguments):
    return run([sys.executable, "jobs/demo.py", *arguments])


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    out = tmp_path_factory.mktemp("synthetic")
    demo(f"out={out}", "--lake", "conf/lake/default.yaml")
    return out


@pytest.fixture(scope="module")
def real_logs(kuairand, tmp_path_factory):
    out = tmp_path_factory.mktemp("kuairand")
    demo("--config", "conf/kuairand.yaml", f"out={out}", f"input={kuairand}")
    return out


def read(out, name):
    return json.loads((out / name).read_text())


def test_the_model_closes_half_of_the_distance_to_the_truth_in_each_modality(synthetic):
    bar = read(synthetic, "report/metrics.json")["bar"]["click"]
    assert set(bar) == {"audio", "video"}
    for modality, figures in bar.items():
        assert figures["gap_closed"] >= 0.5, (modality, figures)


def test_on_real_logs_the_model_beats_the_base_rate_and_the_slot(real_logs):
    bar = read(real_logs, "report/metrics.json")["bar"]["click"]
    assert bar["valid_play"]["ne_model"] < 1
    for modality in ("tap", "valid_play"):
        assert bar[modality]["auc_model"] > bar[modality]["auc_slot_rate"], modality


@pytest.mark.parametrize("lake", ["synthetic", "real_logs"])
def test_counts_add_up_through_all_stages(lake, request):
    out = request.getfixturevalue(lake)
    counts = read(out, "counts.json")
    built = counts["build_features"]
    parts = (built["excluded"], built["quarantined"])
    assert built["read"] == built["duplicates"] + built["written"] + sum(sum(part.values()) for part in parts)
    assert built["written"] == pin(out / "training").rows
    assert set(counts["train"]["rows_trained_per_epoch"]) == {counts["train"]["rows_planned_per_epoch"]}
    assert counts["score"]["rows_scored"] == counts["score"]["rows_of_the_days"] == pin(out / "predictions").rows


@pytest.mark.parametrize(("lake", "settings"), [("synthetic", "synthetic"), ("real_logs", "kuairand")])
def test_three_workers_get_each_impression_of_the_built_table_once(lake, settings, request):
    """By the ids that lie in the files, read without the stream."""
    out = request.getfixturevalue(lake)
    config = load(ROOT / f"conf/{settings}.yaml", Config, [f"out={out}"])
    columns = model_columns(config.features, config.heads.objectives, keys=("impression_id",))
    plan = make_plan(pin(out / "training"), seed=1, epoch=0, batch_size=2048, lanes=4)
    seen = Counter()
    for rank in range(3):
        for block in stream(plan, columns, World(rank, 3), ReadOptions(), ledger=Ledger()):
            seen.update(block.keys[0].tolist())
    paths = [file.path for file in plan.snapshot.files]
    ids = chain.from_iterable(pq.ParquetFile(path).read(["impression_id"])[0].to_pylist() for path in paths)
    assert seen == Counter(ids)
    assert seen.total() == len(seen) == plan.rows


@pytest.mark.parametrize("lake", ["synthetic", "real_logs"])
def test_everything_lies_where_the_readme_says(lake, request):
    out = request.getfixturevalue(lake)
    for name in ("training", "quarantine", "predictions"):
        assert (out / name / "_delta_log").is_dir(), name
    for name in ("encoder/v1/encoder.json", "bundle/manifest.json", "bundle/card.md", "report/index.html",
                 "report/summary.png", "logs/train.log"):  # fmt: skip
        assert (out / name).is_file(), name


def test_scoring_again_replaces_the_day_and_doubles_nothing(synthetic):
    before = pin(synthetic / "predictions")
    spark_job("score", f"out={synthetic}")
    after = pin(synthetic / "predictions")
    assert after.version > before.version
    assert after.rows == before.rows


def test_a_damaged_bundle_is_refused_with_the_file_that_is_damaged(synthetic):
    graph = synthetic / "bundle/head-audio.onnx"
    whole = graph.read_bytes()
    version = pin(synthetic / "predictions").version
    try:
        graph.write_bytes(whole[:-1])
        said = spark_job("score", f"out={synthetic}", code=2)
    finally:
        graph.write_bytes(whole)
    assert "is broken: head-audio.onnx is not the file that training wrote" in said
    assert pin(synthetic / "predictions").version == version


def test_training_runs_inside_a_spark_job(synthetic):
    said = spark_job("train", "--launcher", "spark", "-np", "2", f"out={synthetic}", "training.steps=20")
    assert "next:" in said
    assert read(synthetic, "bundle/metrics.json")["workers"] == 2
