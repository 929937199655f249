"""The jobs beside the chain with everything in an object store: none wants a disk for what it reads and writes."""

from __future__ import annotations

import json
from datetime import date

import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
import yaml
from deltalake import write_deltalake

import camoe
from camoe.bundle.manifest import open_bundle
from camoe.compress.train import train
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.layout import Layout
from camoe.contracts.places.entries import name_of, told_by
from camoe.contracts.places.objects import path_at
from camoe.contracts.places.pins import read_pins
from camoe.contracts.snapshot import pin
from camoe.contracts.storage import delta_options
from camoe.registry.named import named_model
from camoe.train.batch import for_workers
from jobs import add_columns, compare, compress, evaluate, experts, init, maintain, replay, score, simulate, study
from tests.features import lake
from tests.jobs.in_process import run_main
from tests.paths import ROOT
from tests.score.rows import by_impression

pytestmark = [pytest.mark.spark, pytest.mark.slow]

OUT = "s3://lake/mine"
TEST_DAY = lake.DAYS[3]


@pytest.fixture(scope="module")
def layout(store):
    return Layout(path_at(OUT))


@pytest.fixture(scope="module")
def config(layout, tmp_path_factory):
    """The configuration of a chain in the store, whose raw lake alone lies on a disk."""
    folder = tmp_path_factory.mktemp("others")
    lake.write_lake(folder)
    made = lake.write_config(folder, {**lake.config(folder), "out": OUT, "training": {"epochs": 1}})
    assert lake.run_job(made, "--as-of", "2026-02-01T00:00:00") == 0
    trained(made)
    assert run_main(score.main, made) == 0
    assert run_main(evaluate.main, made) == 0
    return made


def trained(config, *overrides):
    made = load(config, Config, overrides)
    train(for_workers(made, 1), pin(made.layout.training).version)


def rows(layout, *dropped):
    found = by_impression(camoe.read_days(str(layout.training), lake.DAYS)).drop(columns=["run_id", *dropped])
    return found[sorted(found)]


def test_columns_are_added(config, layout):
    before = rows(layout)
    settings = yaml.safe_load(config.read_text())
    settings["features"]["numeric"].append({"name": "twice", "sql": "user.plays * 2"})
    more = lake.write_config(config.parent / "raw", settings)
    assert run_main(add_columns.main, more, "--columns", "twice") == 0
    assert rows(layout, "num_twice").equals(before)
    found = rows(layout)
    assert found["num_twice"].fillna(-1).tolist() == (found["num_plays"] * 2).fillna(-1).tolist()


def test_small_files_become_full_ones_of_the_same_rows(config, layout):
    before, content = pin(layout.training), rows(layout)
    compact = lambda argv: maintain.main(["compact", *argv])  # noqa: E731
    assert run_main(compact, config, "rows_per_file=1000", "--days", TEST_DAY) == 0
    after = pin(layout.training)
    assert rows(layout).equals(content)
    files = lambda snapshot, day: [file for file in snapshot.files if file.day == day]  # noqa: E731
    last, others = date.fromisoformat(TEST_DAY), [date.fromisoformat(day) for day in lake.DAYS[:3]]
    assert len(files(before, last)) > len(files(after, last)) == 2
    assert all(files(before, day) == files(after, day) for day in others)
    told = told_by((layout.training / name_of(after.version)).read_bytes())
    assert json.loads(told["userMetadata"]) == {"job": "maintain", "command": "compact"}
    # What it did is done: there is nothing left to do, and it is no change to models and predictions.
    assert run_main(compact, config, "rows_per_file=1000", "--days", TEST_DAY) == 0
    assert pin(layout.training).version == after.version
    assert read_pins(layout.pins) == ()
    assert run_main(score.main, config) == 0


def test_the_report_on_experts_and_the_comparison_are_made(config, layout, capfd):
    assert run_main(experts.main, config) == 0
    assert json.loads((layout.report / "experts.json").read_bytes())["model"] == named_model(layout).version
    assert (layout.report / "experts.png").is_file()
    assert run_main(compare.main, config, "--against-predictor", "slot_rate") == 0, capfd.readouterr().err
    assert "compare: " in capfd.readouterr().out


def test_predictions_of_another_system_lie_in_the_store_too(config, layout):
    ids = camoe.read_days(str(layout.training), [TEST_DAY])["impression_id"]
    theirs = pa.table({"impression_id": ids, "p": [0.1] * len(ids)})
    write_deltalake("s3://lake/theirs", theirs, storage_options=delta_options("s3://lake/theirs"))
    other = "evaluation.predictors=[{name: theirs, path: 's3://lake/theirs'}]"
    assert run_main(evaluate.main, config, other) == 0
    found = json.loads((layout.report / "metrics.json").read_bytes())["rows"]
    assert {row["group"] for row in found if row["predictor"] == "theirs"} >= {"all", "feed", "break"}


def test_a_model_is_made_cheaper(config, layout):
    before = named_model(layout, "newest").version
    assert run_main(compress.main, config, "compress.experts=1", "--source", f"{OUT}/bundle") == 0
    stages = json.loads((layout.root / "compressed/compress.json").read_bytes())["stages"]
    assert [stage["name"] for stage in stages] == ["source", "cut", "tuned"]
    made = open_bundle(named_model(Layout(layout.root / "compressed"), "newest").folder)
    assert [stages[0]["version"], stages[2]["version"]] == [before, made.manifest.model_version]
    assert (layout.root / "compressed/compress.md").is_file()
    taught = [f"training.warm_start={OUT}/bundle", f"training.teacher={{bundle: {OUT}/bundle}}"]
    trained(config, *taught, "out=s3://lake/small", f"lake={OUT}")
    assert camoe.load("s3://lake/small/bundle")


def test_a_study_compares_variants(config, layout, tmp_path):
    kept = tmp_path / "study.yaml"
    content = {
        "out": "s3://lake/study", "seeds": [1], "baseline": "plain",
        "base": {"config": str(config), "overrides": ["training.tensorboard=false", "training.normalise=batch"]},
        "variants": {"plain": {"title": "as it is"}, "wide": {"title": "wide", "overrides": ["model.experts=3"]}},
        "folds": {"main": {"lake": OUT}}, "pictures": [["audio", "video"]],
    }  # fmt: skip
    kept.write_text(yaml.safe_dump(content))
    study.main(["--study", str(kept)])
    found = json.loads(path_at("s3://lake/study/results.json").read_bytes())
    assert {trial["variant"] for trial in found["trials"]} == {"plain", "wide"}
    assert path_at("s3://lake/study/results.md").is_file()
    assert path_at("s3://lake/study/pareto_audio_video.png").is_file()
    assert read_pins(layout.pins) == ()
    # What is done stays done.
    before = [*path_at("s3://lake/study/trials").glob("*/*/*/manifest.json")]
    times = [path.stat().st_mtime for path in before]
    study.main(["--study", str(kept)])
    assert [path.stat().st_mtime for path in before] == times


def test_a_market_is_replayed_and_held(config, layout, capfd):
    made_up = ["--market", str(ROOT / "conf/markets/replay.yaml")]
    assert run_main(replay.main, config, *made_up) == 0
    (command,) = (line for line in capfd.readouterr().out.splitlines() if line.startswith("next:"))
    candidates = command.split()[-1]
    assert candidates.startswith(f"{OUT}/market/")
    assert run_main(replay.main, config, *made_up) == 2
    assert f"{OUT}/market is there; give --replace" in capfd.readouterr().err
    assert run_main(score.main, config, "--input", candidates) == 0, capfd.readouterr().err
    predicted = f"{OUT}/candidate_predictions"
    places = [f"market={OUT}", "out=s3://lake/market", f"models={{camoe: {predicted}}}"]
    stands = [f"outcomes.predictions={predicted}", f"outcomes.bundle={OUT}/bundle"]
    simulate.main(["--config", str(ROOT / "conf/markets/kuairand.yaml"), *places, *stands])
    found = json.loads(path_at("s3://lake/market/market.json").read_bytes())
    assert found["run"]["requests"] > 0
    assert path_at("s3://lake/market/index.html").is_file()
    assert run_main(replay.main, config, *made_up, "--replace") == 0
    assert not path_at(candidates).exists()


def test_a_log_in_the_store_gets_its_first_configuration(store, tmp_path):
    numbers = range(300)
    log = {"user": [f"u{number % 7}" for number in numbers], "clicked": [int(number % 9 == 0) for number in numbers]}
    log["ts"] = [1_750_000_000 + number * 86_400 // 60 for number in numbers]
    log["genre"] = [f"g{number % 4}" for number in numbers]
    pa_csv.write_csv(pa.table(log), tmp_path / "log.csv")
    path_at("s3://lake/logs/log.csv").upload(tmp_path / "log.csv")
    init.main(["s3://lake/logs/log.csv", "--name", "mine", "--folder", str(tmp_path)])
    made = load(tmp_path / "mine.yaml", Config)
    assert (made.raw, made.sources.impressions.path) == ("s3://lake/logs", "log.csv")
