"""The whole chain with every real part in its place: on a lake of few rows, and on the demo's as a user runs it."""

from __future__ import annotations

import json
import sys

import pytest
import yaml

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import BundleError
from camoe.contracts.snapshot import pin
from camoe.score.drift import DriftError
from jobs import evaluate, replay, score, simulate
from tests.features import lake
from tests.jobs.chains import bar, read, require_counts, require_each_impression_once, require_files
from tests.jobs.commands import run, spark_job
from tests.paths import ROOT

pytestmark = [pytest.mark.spark, pytest.mark.horovod]

LAKES = ROOT / "conf/lake"
IMPRESSIONS = 40_000


def given(made):
    """The command line of a job."""
    return ["--config", str(made.config)]


@pytest.fixture(scope="module")
def made(spark, clean_build, tmp_path_factory):
    """A built lake with what two training workers, scoring and evaluation made of it."""
    made = lake.copy_of(clean_build, tmp_path_factory.mktemp("chain"))
    run([sys.executable, "jobs/train.py", "-np", "2", *given(made), "training.epochs=2"])
    score.main(given(made))
    evaluate.main(given(made))
    return made


def test_counts_add_up_through_all_stages(made):
    require_counts(made.layout.root)


def test_three_workers_get_each_impression_of_the_built_table_once(made):
    require_each_impression_once(load(made.config, Config))


def test_everything_lies_where_the_readme_says(made):
    require_files(made.layout.root)


def test_scoring_again_replaces_the_day_and_doubles_nothing(made):
    before = pin(made.layout.predictions)
    score.main(given(made))
    after = pin(made.layout.predictions)
    assert after.version > before.version
    assert after.rows == before.rows


def test_a_damaged_bundle_is_refused_with_the_file_that_is_damaged(made):
    graph = made.layout.bundle / "head-all.onnx"
    whole = graph.read_bytes()
    version = pin(made.layout.predictions).version
    try:
        graph.write_bytes(whole[:-1])
        with pytest.raises(BundleError, match=r"is broken: head-all\.onnx is not the file that training wrote"):
            score.main(given(made))
    finally:
        graph.write_bytes(whole)
    assert pin(made.layout.predictions).version == version


@pytest.mark.slow
def test_the_test_day_is_replayed_as_a_market_whose_candidates_the_scoring_job_scored(made, tmp_path):
    root = made.layout.root
    replay.main([*given(made), "--market", str(ROOT / "conf/markets/replay.yaml")])
    score.main([*given(made), "--input", str(made.layout.market / "candidates")])
    drift = json.loads(next((made.layout.drift / "candidates").glob("*.json")).read_text())
    assert {name: of["rows"] > 0 for name, of in drift["features"].items()} == dict.fromkeys(drift["features"], True)
    assert {"plan", "plays"} <= set(drift["features"])
    bounds = ["drift.features=0.1", "drift.least_rows=1"]
    with pytest.raises(DriftError, match=r"drift beyond the declared bounds .*: feature ") as beyond:
        score.main([*given(made), "--input", str(made.layout.market / "candidates"), *bounds])
    assert beyond.value.code == 3
    # The model stands for the truth itself.
    predicted = made.layout.candidate_predictions
    stands = [f"outcomes.predictions={predicted}", f"outcomes.bundle={made.layout.bundle.resolve()}"]
    places = [f"market={root}", f"out={tmp_path}", f"models={{camoe: {predicted}}}"]
    simulate.main(["--config", str(ROOT / "conf/markets/kuairand.yaml"), *places, *stands])
    found = json.loads((tmp_path / "market.json").read_text())
    assert found["run"]["requests"] == read(root, "counts.json")["score"]["rows_of_the_days"]
    assert found["run"]["stand_in"].startswith("model ")
    assert sorted(found["queues"]) == ["audio", "video"]
    # Candidates are counted beside the impressions.
    require_counts(root)
    # All that it wins it predicts as it is.
    for bins in found["won"]["whole"][1]:
        assert [row[1] for row in bins] == pytest.approx([row[2] for row in bins], rel=1e-6)


def small_lake(folder):
    """The shipped lake, but with fewer impressions."""
    settings = yaml.safe_load((LAKES / "default.yaml").read_text())
    parts = {name: str(LAKES / value) for name, value in settings.items() if str(value).endswith(".yaml")}
    path = folder / "lake.yaml"
    path.write_text(yaml.safe_dump(settings | parts | {"impressions": IMPRESSIONS}))
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The output of jobs/demo.py."""
    folder = tmp_path_factory.mktemp("synthetic")
    run([sys.executable, "jobs/demo.py", f"out={folder / 'out'}", "--lake", str(small_lake(folder))])
    return folder / "out"


@pytest.mark.slow
def test_the_demo_closes_a_third_of_the_distance_to_the_truth_in_each_modality(demo):
    """Of a fifth of the impressions; of all it has to close half of it."""
    found = bar(demo)
    assert set(found) == {"audio", "video"}
    for modality, figures in found.items():
        assert figures["gap_closed"] >= 1 / 3, (modality, figures)
        assert figures["auc_model"] > figures["auc_slot_rate"], (modality, figures)


@pytest.mark.slow
def test_the_demo_writes_what_the_readme_says_and_each_jobs_output(demo):
    require_counts(demo)
    require_files(demo)
    assert (demo / "logs/train.log").is_file()


@pytest.mark.slow
def test_nothing_but_what_jobs_say_comes_to_the_terminal(demo):
    """What Java itself says of its modules cannot be switched off."""
    said = {path.stem: path.read_text().splitlines() for path in (demo / "logs").glob("*.log")}
    stages = ("make_lake", "build_features", "score", "evaluate")
    assert {line for stage in stages for line in said[stage]} <= {
        "WARNING: Using incubator modules: jdk.incubator.vector"
    }
    assert all(f"{stage}-spark" in said for stage in stages)


@pytest.mark.slow
def test_training_runs_inside_a_spark_job(demo):
    said = spark_job("train", "--launcher", "spark", "-np", "2", f"out={demo}", "training.steps=20")
    assert "next:" in said
    assert read(demo, "bundle/metrics.json")["workers"] == 2
