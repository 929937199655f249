"""The whole chain on a lake of few impressions, with every real part in its place."""

from __future__ import annotations

import sys

import pytest
import yaml

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import BundleError
from camoe.contracts.snapshot import pin
from jobs import build_features, evaluate, make_lake, score
from tests.jobs.chains import bar, read, require_counts, require_each_impression_once, require_files
from tests.jobs.commands import run, spark_job
from tests.paths import ROOT
from tests.sparks import as_users_run_it

pytestmark = [pytest.mark.spark, pytest.mark.horovod]

LAKES = ROOT / "conf/lake"
IMPRESSIONS = 40_000


def small_lake(folder):
    """The shipped lake, but with fewer impressions."""
    lake = yaml.safe_load((LAKES / "default.yaml").read_text())
    parts = {name: str(LAKES / value) for name, value in lake.items() if str(value).endswith(".yaml")}
    path = folder / "lake.yaml"
    path.write_text(yaml.safe_dump(lake | parts | {"impressions": IMPRESSIONS}))
    return path


def given(out):
    """The command line of a job."""
    return ["--config", str(ROOT / "conf/synthetic.yaml"), f"out={out}"]


@pytest.fixture(scope="module")
def out(spark, tmp_path_factory):
    """The output of the chain's jobs; those in Spark share one, which no longer has to warm up."""
    folder = tmp_path_factory.mktemp("synthetic")
    out = folder / "out"
    with as_users_run_it(spark):
        make_lake.main(["--config", str(small_lake(folder)), f"out={out}"])
        build_features.main(given(out))
        run([sys.executable, "jobs/train.py", "-np", "2", *given(out)])
        score.main(given(out))
        evaluate.main(given(out))
    return out


def test_the_model_closes_a_third_of_the_distance_to_the_truth_in_each_modality(out):
    """Of a fifth of the impressions; of all it has to close half of it."""
    found = bar(out)
    assert set(found) == {"audio", "video"}
    for modality, figures in found.items():
        assert figures["gap_closed"] >= 1 / 3, (modality, figures)
        assert figures["auc_model"] > figures["auc_slot_rate"], (modality, figures)


def test_counts_add_up_through_all_stages(out):
    require_counts(out)


def test_three_workers_get_each_impression_of_the_built_table_once(out):
    require_each_impression_once(load(ROOT / "conf/synthetic.yaml", Config, [f"out={out}"]))


def test_everything_lies_where_the_readme_says(out):
    require_files(out)


def test_scoring_again_replaces_the_day_and_doubles_nothing(spark, out):
    before = pin(out / "predictions")
    score.main(given(out))
    after = pin(out / "predictions")
    assert after.version > before.version
    assert after.rows == before.rows


def test_a_damaged_bundle_is_refused_with_the_file_that_is_damaged(spark, out):
    graph = out / "bundle/head-audio.onnx"
    whole = graph.read_bytes()
    version = pin(out / "predictions").version
    try:
        graph.write_bytes(whole[:-1])
        with pytest.raises(BundleError, match=r"is broken: head-audio\.onnx is not the file that training wrote"):
            score.main(given(out))
    finally:
        graph.write_bytes(whole)
    assert pin(out / "predictions").version == version


@pytest.mark.slow
def test_the_demo_runs_each_job_in_a_process_of_its_own(tmp_path):
    run([sys.executable, "jobs/demo.py", f"out={tmp_path / 'out'}", "--lake", str(small_lake(tmp_path))])
    require_files(tmp_path / "out")
    require_counts(tmp_path / "out")
    assert (tmp_path / "out/logs/train.log").is_file()


@pytest.mark.slow
def test_training_runs_inside_a_spark_job(out):
    said = spark_job("train", "--launcher", "spark", "-np", "2", f"out={out}", "training.steps=20")
    assert "next:" in said
    assert read(out, "bundle/metrics.json")["workers"] == 2
