"""The whole chain with everything in an object store: what comes out is what comes out on a disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import camoe
from camoe.contracts.layout import Layout
from camoe.contracts.places.objects import path_at
from camoe.contracts.places.pins import read_pins
from camoe.registry.named import named_model
from camoe.train.checkpoint.folder import complete
from jobs import evaluate, maintain, models, score
from tests.evaluation.run import numbers
from tests.features import lake
from tests.jobs.commands import spark_job
from tests.jobs.in_process import run_main
from tests.object_store import KEY_ID, SECRET, TOKEN
from tests.paths import ROOT
from tests.score.rows import by_impression
from tests.waiting import wait_until

pytestmark = [pytest.mark.spark, pytest.mark.horovod, pytest.mark.slow]

OUT = "s3://lake/mine"
AS_OF = ("--as-of", "2026-02-01T00:00:00")
LONG = ("training.epochs=60",)


def train(config, *given, code=0):
    done = subprocess.run(
        [sys.executable, "jobs/train.py", "-np", "2", "--config", str(config), *given],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    for secret in (KEY_ID, SECRET, TOKEN):
        assert secret not in done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def places(spark, store, tmp_path_factory):
    """A lake, and what the chain made of it: on a disk, and in the store."""
    folder = tmp_path_factory.mktemp("chain")
    local = lake.write_lake(folder / "local")
    (folder / "remote").mkdir()
    settings = {**lake.config(folder / "local"), "out": OUT}
    remote = lake.write_config(folder / "remote", settings)
    for config in (local, remote):
        assert lake.run_job(config, *AS_OF) == 0
        train(config, "training.epochs=2")
        assert run_main(score.main, config) == 0
        assert run_main(evaluate.main, config) == 0
    return {local: Layout(folder / "local/out"), remote: Layout(path_at(OUT))}


def predictions(place):
    return by_impression(camoe.read_days(str(place), [lake.DAYS[3]]))


def read(layout, name):
    return json.loads((layout.root / name).read_bytes())


def test_each_stage_has_its_rows_and_leaves_nothing_but_what_it_is_to_leave(places):
    here, there = places.values()
    for stage in ("train", "evaluate"):
        assert read(here, "counts.json")[stage] == read(there, "counts.json")[stage]
    assert read(here, "counts.json")["score"]["rows_scored"] == read(there, "counts.json")["score"]["rows_scored"]
    version = named_model(there).version
    assert len(predictions(there.predictions)) == lake.ROWS_A_DAY
    assert read(there, "report/metrics.json")["run"]["model_version"] == version
    assert (there.report / "summary.png").is_file()
    assert (there.drift / f"{version}.json").is_file()
    assert (there.logs / "train_workers.log").is_file()
    assert not there.checkpoints.exists()
    assert read_pins(there.pins) == ()
    assert not [path for path in there.runs.iterdir() if path.suffix == ".lock"]
    assert not (ROOT / "s3:").exists()


def test_the_predictions_and_figures_of_a_model_are_those_of_a_disk(places):
    """Of one model: rows come to training in the order of their files' names, which are other ones there."""
    config, (here, there) = [*places][1], places.values()
    given = ("--model", str(here.bundle.resolve()), "predictions=s3://lake/compared")
    assert run_main(score.main, config, *given) == 0
    assert run_main(evaluate.main, config, *given) == 0
    mine, theirs = predictions(here.predictions), predictions("s3://lake/compared")
    assert mine.index.equals(theirs.index)
    np.testing.assert_array_equal(mine["p"], theirs["p"])
    figures = [numbers(read(layout, "report/metrics.json")["rows"]) for layout in (here, there)]
    assert figures[0].keys() == figures[1].keys()
    np.testing.assert_allclose([*figures[0].values()], [*figures[1].values()], rtol=1e-9)


def test_a_bundle_is_loaded_by_the_address_of_out(places):
    there = [*places.values()][1]
    rows = camoe.read_days(str(there.training), [lake.DAYS[3]])
    own = camoe.load(named_model(there, "newest").folder).predict(rows)
    assert camoe.load(f"{OUT}/bundle").predict(rows).equals(own)


def test_scoring_in_one_process_gives_the_same(places):
    config, there = [*places][1], [*places.values()][1]
    before = predictions(there.predictions)
    assert run_main(score.main, config, "--local") == 0
    np.testing.assert_array_equal(predictions(there.predictions)["p"], before["p"])


def test_a_model_is_promoted_scored_and_held_against_another(places):
    config, there = [*places][1], [*places.values()][1]
    first = named_model(there).version
    promote = lambda argv: models.main(["promote", *argv])  # noqa: E731
    assert run_main(promote, config, "--reason", "the first") == 0
    said = train(config, "training.seed=7")
    assert f"bundle {named_model(there, 'newest').version} written to {OUT}/bundle in place of {first}" in said
    assert "--model newest" in said
    assert run_main(score.main, config, "--model", "newest") == 0
    assert run_main(evaluate.main, config, "--model", "newest", "--against", first) == 0
    assert read(there, "report/metrics.json")["run"]["against"] == [first]
    assert run_main(promote, config, "--to", "shadow") == 0
    assert named_model(there).version == first
    assert run_main(score.main, config, "--local") == 0
    assert camoe.load(f"{OUT}/models/{first}")


def test_a_training_that_was_killed_goes_on_where_it_was(places, tmp_path):
    config, there = [*places][1], [*places.values()][1]
    log = tmp_path / "train.log"
    with log.open("wb") as said:
        job = subprocess.Popen(
            [sys.executable, "jobs/train.py", "-np", "2", "--config", str(config), *LONG],
            stdout=said, stderr=said, cwd=ROOT, start_new_session=True,
        )  # fmt: skip
    wait_until(lambda: complete(there.checkpoints), 120, log.read_text)
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    (pin,) = read_pins(there.pins)
    said = train(config, "--resume", *LONG)
    assert f"continues {OUT}/checkpoints/" in said
    assert not there.checkpoints.exists()
    # Of the killed one a pin is left, which maintenance tells of.
    assert read_pins(there.pins) == (pin,)
    pins = lambda argv: maintain.main(["pins", *argv])  # noqa: E731
    assert run_main(pins, config, "--remove", pin.pin_id) == 0
    assert read_pins(there.pins) == ()


def test_training_runs_inside_a_spark_job(places):
    config, there = [*places][1], [*places.values()][1]
    said = spark_job("train", "--launcher", "spark", "-np", "2", "--config", str(config), "training.steps=20")
    assert "next:" in said
    assert not any(secret in said for secret in (KEY_ID, SECRET, TOKEN))
    assert json.loads((named_model(there, "newest").folder / "metrics.json").read_bytes())["workers"] == 2
