"""MLflow gets a run's settings, figures by step and bundle, in a store of files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from camoe.config.training import TrackingConfig, TrainingConfig
from camoe.contracts.errors import ConfigError, TrainingError
from camoe.train.tracking.evaluated import track_test_days
from camoe.train.tracking.mlflow_tracker import LONGEST, PARAMETERS, Mlflow, TrackedRun, marked_when_lost
from camoe.train.tracking.trackers import track, trackers
from tests.bundle.manifest import MANIFEST
from tests.stream.plans import snapshot_of

mlflow = pytest.importorskip("mlflow")
DATA = replace(snapshot_of([(0, 0, [5])]), version=3)
NAME = "20260101T000000000000Z"
ROWS = [
    {
        "head": "audio",
        "group_kind": kind,
        "group": group,
        "predictor": predictor,
        "auc_pr": value,
        "ne": 0.5,
        "ece": ece,
    }
    for kind, group in (("head", "audio"), ("slot", "a"))
    for predictor, value, ece in (("model", None if kind == "slot" else 0.25, 0.125), ("model_raw", 0.75, 0.5))
]
SETTINGS = {f"setting {number}": number for number in range(PARAMETERS + 1)} | {"long": "x" * (LONGEST + 1)}


@pytest.fixture
def config(tmp_path, monkeypatch):
    # Recent versions want to be told that a store of files is meant.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    yield TrackingConfig(uri=(tmp_path / "runs").as_uri(), experiment="slots")
    mlflow.end_run()


@pytest.fixture
def run(tmp_path):
    return TrackedRun(NAME, SETTINGS, DATA, tmp_path / "checkpoints")


def runs(config):
    client = mlflow.MlflowClient(config.uri)
    return client.search_runs([client.get_experiment_by_name(config.experiment).experiment_id])


def only_run(config):
    (run,) = runs(config)
    return mlflow.MlflowClient(config.uri), run


def test_a_run_is_kept_with_settings_figures_data_and_bundle(config, run, tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "card.md").write_text("a model")
    tracker = Mlflow(config, run)
    for step, loss in ((10, 0.5), (20, 0.25)):
        track([tracker], iter([("loss/audio", loss)]), step)
    assert only_run(config)[1].info.status == "RUNNING"
    tracker.finish(bundle, MANIFEST, ROWS)
    client, run = only_run(config)
    assert (run.info.run_name, run.info.status) == (NAME, "FINISHED")
    expected = {name.replace(" ", "_"): str(value)[:LONGEST] for name, value in SETTINGS.items()}
    assert run.data.params == expected
    history = client.get_metric_history(run.info.run_id, "loss/audio")
    assert [(one.step, one.value) for one in history] == [(10, 0.5), (20, 0.25)]
    tags = {"data_set": "/lake/training", "table_version": "3", "model_version": MANIFEST.model_version}
    assert tags.items() <= run.data.tags.items()
    final = {name: value for name, value in run.data.metrics.items() if name.startswith("final")}
    assert final == {
        "final_auc_pr/audio": 0.25, "final_ne/audio": 0.5, "final_ece/audio": 0.125,
        "final_ne_by_slot/audio/a": 0.5, "final_ece_by_slot/audio/a": 0.125,
    }  # fmt: skip
    (used,) = run.inputs.dataset_inputs
    source = json.loads(used.dataset.source)
    assert (source["path"], source["delta_table_version"]) == (DATA.table, DATA.version)
    assert (used.dataset.source_type, used.dataset.digest) == ("delta_table", DATA.content_hash())
    kept = client.download_artifacts(run.info.run_id, "bundle/card.md", str(tmp_path))
    assert Path(kept).read_text() == "a model"


def evaluated(version):
    """What metrics.json says of a model that was scored, as far as it goes to MLflow."""
    kinds = {"all": "all", "slot": "a", "modality": "audio", "head": "first", "campaign": "7"}
    rows = [
        {"objective": "click", "group_kind": kind, "group": group, "predictor": predictor}
        | {"auc_pr": None if kind == "slot" else 0.25, "ne": ne, "ece": 0.125}
        for kind, group in kinds.items()
        for predictor, ne in (("model", 0.5), ("base_rate", 1.0))
    ]
    return {"run": {"model_version": version, "test_days": ["2026-03-10", "2026-03-11"]}, "rows": rows}


def test_the_run_of_a_model_gets_its_figures_of_the_test_days(config, run, tmp_path):
    (tmp_path / "bundle").mkdir()
    Mlflow(config, run).finish(tmp_path / "bundle", MANIFEST, [])
    said = track_test_days(config, evaluated(MANIFEST.model_version))
    _, found = only_run(config)
    assert said == f"11 figures of the test days are in MLflow at {config.uri}, run {found.info.run_id}"
    assert {name: value for name, value in found.data.metrics.items() if name.startswith("test")} == {
        "test_auc_pr/click": 0.25, "test_ne/click": 0.5, "test_ece/click": 0.125,
        "test_ne_by_slot/click/a": 0.5, "test_ece_by_slot/click/a": 0.125,
        "test_auc_pr_by_modality/click/audio": 0.25, "test_ne_by_modality/click/audio": 0.5,
        "test_ece_by_modality/click/audio": 0.125, "test_auc_pr_by_head/click/first": 0.25,
        "test_ne_by_head/click/first": 0.5, "test_ece_by_head/click/first": 0.125,
    }  # fmt: skip
    assert found.data.tags["test_days"] == "2026-03-10, 2026-03-11"
    assert found.info.status == "FINISHED"


def test_a_model_that_mlflow_does_not_know_is_told(config, run):
    assert "has no run of model 0 in slots" in track_test_days(config, evaluated("0"))
    Mlflow(config, run)
    assert "has no run of model 0 in slots" in track_test_days(config, evaluated("0"))


def test_a_store_that_is_away_costs_no_evaluation():
    away = TrackingConfig(uri="nowhere://ann:secret@store", experiment="slots")
    said = track_test_days(away, evaluated("0"))
    assert said.startswith("MLflow at nowhere://store could not be given the figures (") and "secret" not in said


def test_a_store_that_takes_no_runs_is_named(run):
    wrong = TrackingConfig(uri="nowhere://ann:secret@store", experiment="slots")
    with pytest.raises(ConfigError, match=r"^training\.tracking\.uri nowhere://store cannot be used((?!secret).)*$"):
        Mlflow(wrong, run)


def begun_again(config, run):
    """Another attempt at `run`, in a process that knows nothing of the one before."""
    mlflow.end_run("RUNNING")
    return Mlflow(config, run)


def test_a_later_attempt_goes_on_with_the_run_of_the_first(config, run):
    track([Mlflow(config, run)], iter([("loss/audio", 0.5)]), 10)
    again = begun_again(config, run)
    track([again], iter([("loss/audio", 0.25)]), 20)
    again.fail()
    begun_again(config, run)
    client, found = only_run(config)
    assert found.info.status == "RUNNING"
    assert [one.step for one in client.get_metric_history(found.info.run_id, "loss/audio")] == [10, 20]
    assert len(found.inputs.dataset_inputs) == 1


@pytest.mark.parametrize("other", ["another run", "another experiment", "its MLflow run was deleted"])
def test_what_is_no_later_attempt_gets_a_run_of_its_own(config, run, other):
    Mlflow(config, run)
    mlflow.end_run("RUNNING")
    (first,) = (found.info.run_id for found in runs(config))
    if other == "another run":
        run = replace(run, name="20260102T000000000000Z")
    elif other == "another experiment":
        config = config.model_copy(update={"experiment": "other"})
    else:
        mlflow.MlflowClient(config.uri).delete_run(first)
    Mlflow(config, run)
    assert {found.info.run_id for found in runs(config)} - {first}


def test_a_run_whose_settings_are_not_taken_does_not_stay_open(config, run):
    with pytest.raises(ConfigError, match=r"cannot be used: .*[Ii]nvalid"):
        Mlflow(config, replace(run, settings={"no: name?": 1}))
    assert only_run(config)[1].info.status == "FAILED"
    assert mlflow.active_run() is None


def lost(config, tmp_path):
    """A job whose worker is killed and leaves its MLflow run open."""
    with pytest.raises(TrainingError, match="killed"), marked_when_lost(config, tmp_path / "checkpoints", NAME):
        raise TrainingError("worker 0 was killed")


def test_the_run_of_a_worker_that_was_killed_is_marked_and_one_that_ended_by_itself_stays(config, run, tmp_path):
    lost(config, tmp_path)
    Mlflow(config, run)
    assert only_run(config)[1].info.status == "RUNNING"
    lost(config, tmp_path)
    assert only_run(config)[1].info.status == "FAILED"
    begun_again(config, run).finish(tmp_path / "checkpoints", MANIFEST, ROWS)
    lost(config, tmp_path)
    assert only_run(config)[1].info.status == "FINISHED"


def test_a_store_that_is_lost_does_not_hide_why_a_worker_was(config, run, tmp_path, capsys):
    Mlflow(config, run)
    (stored,) = (tmp_path / "runs").glob("*/*/meta.yaml")
    moved = stored.rename(tmp_path / "moved")
    lost(config, tmp_path)
    moved.rename(stored)
    assert "could not be told that the run failed (" in capsys.readouterr().out


def test_a_store_that_is_lost_is_told_once_and_training_goes_on(config, run, tmp_path, capsys):
    tracker = Mlflow(config, replace(run, settings={}))
    (figures,) = (tmp_path / "runs").glob("*/*/metrics")
    figures.rmdir()
    figures.write_text("a file where the folder was")
    for step in (10, 20):
        track([tracker], iter([("loss/audio", 0.5)]), step)
    tracker.finish(tmp_path, MANIFEST, ROWS)
    tracker.fail()
    figures.unlink()
    figures.mkdir()
    said = capsys.readouterr().out
    assert said.count("training goes on without them") == 1
    assert f"train: figures for MLflow at {config.uri} could not be written (" in said


def test_a_run_that_ends_without_a_bundle_is_marked_so(config, run):
    Mlflow(config, run).fail()
    assert only_run(config)[1].info.status == "FAILED"


@pytest.fixture
def tracked(config, tmp_path):
    """The trackers of a run whose configuration asks for MLflow and TensorBoard, on one of its workers."""
    run = TrackedRun(NAME, {"training.seed": 7}, DATA, tmp_path / "checkpoints")
    return lambda leads: trackers(TrainingConfig(tracking=config), tmp_path / "out/logs", run, 0, leads)


def test_a_runs_figures_and_bundle_go_to_what_its_configuration_names(tracked, config, tmp_path):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "card.md").write_text("a model")
    with tracked(leads=True) as made:
        track(made, iter([("loss/all", 0.5)]), 10)
        for tracker in made:
            tracker.finish(bundle, MANIFEST, [])
    client, run = only_run(config)
    assert (run.info.run_name, run.info.status) == (NAME, "FINISHED")
    assert run.data.params == {"training.seed": "7"}
    assert run.data.metrics == {"loss/all": 0.5}
    assert [file.path for file in client.list_artifacts(run.info.run_id, "bundle")] == ["bundle/card.md"]
    assert list((tmp_path / "out/logs/tensorboard" / NAME).iterdir())


def test_a_run_whose_training_fails_is_marked_so(tracked, config):
    with pytest.raises(TrainingError), tracked(leads=True):
        raise TrainingError("the loss is nan")
    assert only_run(config)[1].info.status == "FAILED"


def test_only_the_first_worker_tracks(tracked, config):
    with tracked(leads=False) as made:
        assert made == ()
    assert mlflow.MlflowClient(config.uri).get_experiment_by_name(config.experiment) is None
