"""MLflow gets a run's settings, figures by step and bundle, in a store of files."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from camoe.config import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError, TrainingError
from camoe.train.checkpoint import Checkpoints
from camoe.train.config import TrackingConfig
from camoe.train.tracking import LONGEST, PARAMETERS, Mlflow, track, trackers
from tests.train.pipeline import CONFIG

mlflow = pytest.importorskip("mlflow")
SETTINGS = {f"setting {number}": number for number in range(PARAMETERS + 1)} | {"long": "x" * (LONGEST + 1)}


@pytest.fixture
def config(tmp_path, monkeypatch):
    # Recent versions want to be told that a store of files is meant.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    yield TrackingConfig(uri=(tmp_path / "runs").as_uri(), experiment="slots")
    mlflow.end_run()


def only_run(config):
    client = mlflow.MlflowClient(config.uri)
    experiment = client.get_experiment_by_name(config.experiment)
    (run,) = client.search_runs([experiment.experiment_id])
    return client, run


def test_a_run_is_kept_with_settings_figures_and_bundle(config, tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "card.md").write_text("a model")
    tracker = Mlflow(config, "first", SETTINGS)
    for step, loss in ((10, 0.5), (20, 0.25)):
        track([tracker], iter([("loss/audio", loss)]), step)
    assert only_run(config)[1].info.status == "RUNNING"
    tracker.finish(bundle, "/lake/training", 7)
    client, run = only_run(config)
    assert (run.info.run_name, run.info.status) == ("first", "FINISHED")
    expected = {name.replace(" ", "_"): str(value)[:LONGEST] for name, value in SETTINGS.items()}
    assert run.data.params == expected
    history = client.get_metric_history(run.info.run_id, "loss/audio")
    assert [(one.step, one.value) for one in history] == [(10, 0.5), (20, 0.25)]
    assert (run.data.tags["data_set"], run.data.tags["table_version"]) == ("/lake/training", "7")
    kept = client.download_artifacts(run.info.run_id, "bundle/card.md", str(tmp_path))
    assert Path(kept).read_text() == "a model"


def test_a_store_that_takes_no_runs_is_named():
    wrong = TrackingConfig(uri="nowhere://store", experiment="slots")
    with pytest.raises(ConfigError, match=r"training\.tracking\.uri nowhere://store cannot be used"):
        Mlflow(wrong, "first", {})


def test_a_store_that_is_lost_is_told_once_and_training_goes_on(config, tmp_path, capsys):
    tracker = Mlflow(config, "first", {})
    (figures,) = (tmp_path / "runs").glob("*/*/metrics")
    figures.rmdir()
    figures.write_text("a file where the folder was")
    for step in (10, 20):
        track([tracker], iter([("loss/audio", 0.5)]), step)
    tracker.finish(tmp_path, "/lake/training", 7)
    tracker.fail()
    figures.unlink()
    figures.mkdir()
    said = capsys.readouterr().out
    assert said.count("training goes on without them") == 1
    assert f"train: figures for MLflow at {config.uri} could not be written (" in said


def test_a_run_that_ends_without_a_bundle_is_marked_so(config):
    Mlflow(config, "first", {}).fail()
    assert only_run(config)[1].info.status == "FAILED"


@pytest.fixture
def tracked(config, tmp_path):
    """The trackers of a run whose configuration asks for MLflow and TensorBoard, on one of its workers."""
    path = tmp_path / "pipeline.yaml"
    training = CONFIG["training"] | {"tracking": config.model_dump()}
    path.write_text(yaml.safe_dump({**CONFIG, "training": training, "out": str(tmp_path / "out")}))
    checkpoints = Checkpoints(tmp_path / "checkpoints", "20260101T000000000000Z", {"training.seed": 7}, 1)
    return lambda leads: trackers(load(path, Config), checkpoints, None, leads)


def test_a_runs_figures_and_bundle_go_to_what_its_configuration_names(tracked, config, tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "card.md").write_text("a model")
    with tracked(leads=True) as made:
        track(made, iter([("loss/all", 0.5)]), 10)
        for tracker in made:
            tracker.finish(bundle, "/lake/training", 7)
    client, run = only_run(config)
    assert (run.info.run_name, run.info.status) == ("20260101T000000000000Z", "FINISHED")
    assert run.data.params == {"training.seed": "7"}
    assert run.data.metrics == {"loss/all": 0.5}
    assert [file.path for file in client.list_artifacts(run.info.run_id, "bundle")] == ["bundle/card.md"]
    assert list((tmp_path / "out/logs/tensorboard/20260101T000000000000Z").iterdir())


def test_a_run_whose_training_fails_is_marked_so(tracked, config):
    with pytest.raises(TrainingError), tracked(leads=True):
        raise TrainingError("the loss is nan")
    assert only_run(config)[1].info.status == "FAILED"


def test_only_the_first_worker_tracks(tracked, config):
    with tracked(leads=False) as made:
        assert made == ()
    assert mlflow.MlflowClient(config.uri).get_experiment_by_name(config.experiment) is None
