"""jobs/models.py: a champion by the rule or a reason, shadows beside it, and scoring that follows."""

from __future__ import annotations

import json
import shutil

import pytest

import camoe
from camoe.bundle.manifest import read_manifest
from camoe.bundle.versions import versions
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.registry.store import read_registry
from camoe.score.delta import predictions_by_slot
from jobs import models, score
from tests.jobs.in_process import run_main
from tests.registry.second import write_second
from tests.registry.states import BUCKETS, keep
from tests.score.pipeline import DAYS, ROWS, Pipeline, write_scorable

DAY = DAYS[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two models, the second the newest."""
    made = write_scorable(tmp_path_factory.mktemp("made"), evaluation={"user_buckets": BUCKETS, "bootstrap": 40})
    write_second(made.bundle)
    return made


@pytest.fixture
def pipeline(made, tmp_path):
    shutil.copytree(made.config.out, tmp_path / "out", symlinks=True)
    path = tmp_path / "pipeline.yaml"
    path.write_text(made.path.read_text().replace(str(made.config.out), str(tmp_path / "out")))
    return Pipeline(path, load(path, Config))


def names(pipeline):
    return [read_manifest(bundle).model_version for bundle in versions(pipeline.bundle)]


def job(pipeline, command, *arguments):
    return run_main(lambda argv: models.main([command, *argv]), pipeline.path, *arguments)


def scored(pipeline, version):
    return predictions_by_slot(pipeline.config.layout.predictions, [DAY], version)


def test_scoring_follows_the_champion_and_shadows_write_beside_it(pipeline, capsys):
    old, new = names(pipeline)
    assert job(pipeline, "promote", "--model", old, "--reason", "the first") == 0
    assert f"the champion is {old}" in capsys.readouterr().out
    assert run_main(score.main, pipeline.path, "--local", "--days", str(DAY)) == 0
    assert (scored(pipeline, old), scored(pipeline, new)) == (ROWS, {})
    assert job(pipeline, "promote", "--to", "shadow") == 0
    assert run_main(score.main, pipeline.path, "--local", "--days", str(DAY)) == 0
    assert (scored(pipeline, old), scored(pipeline, new)) == (ROWS, ROWS)
    counts = json.loads(pipeline.config.layout.counts.read_text())
    assert counts["score"]["model_version"] == old
    assert counts[f"score of shadow {new}"]["model_version"] == new
    capsys.readouterr()
    assert job(pipeline, "list") == 0
    assert f"{new}  shadow" in capsys.readouterr().out


def test_a_shadow_that_cannot_score_takes_nothing_from_the_champion(pipeline, capsys):
    old, new = names(pipeline)
    assert job(pipeline, "promote", "--model", old, "--reason", "the first") == 0
    assert job(pipeline, "promote", "--to", "shadow") == 0
    (pipeline.config.layout.models / new / "weights.safetensors").write_bytes(b"")
    capsys.readouterr()
    assert run_main(score.main, pipeline.path, "--local", "--days", str(DAY)) == 2
    said = capsys.readouterr()
    assert f"error: the predictions of {old} are written, those of its shadows {new} are not" in said.err
    assert scored(pipeline, old) == ROWS


def test_a_named_model_is_scored_alone(pipeline):
    old, new = names(pipeline)
    assert job(pipeline, "promote", "--model", old, "--reason", "the first") == 0
    assert run_main(score.main, pipeline.path, "--local", "--days", str(DAY), "--model", "newest") == 0
    assert (scored(pipeline, old), scored(pipeline, new)) == ({}, ROWS)


def test_the_rule_promotes_what_the_evaluation_tells_to_be_better(pipeline, capsys):
    old, new = names(pipeline)
    states = pipeline.config.layout.states
    assert job(pipeline, "promote", "--model", old) == 2
    assert "there is no champion that it could be held against; give --reason TEXT" in capsys.readouterr().err
    assert job(pipeline, "promote", "--model", old, "--reason", "the first") == 0
    assert job(pipeline, "promote") == 2
    assert f"has no states of model {new}" in capsys.readouterr().err
    keep(states, old, DAY, {"s0": 0.5, "s1": 0.5})
    keep(states, new, DAY, {"s0": 0.0, "s1": 0.0})
    assert job(pipeline, "promote") == 0
    registry = read_registry(pipeline.config.layout.models)
    assert registry.champion == new
    assert registry.changes[-1].judgement.against == old
    assert f"by the rule, from the evaluation against {old} on 2026-01-04" in capsys.readouterr().out
    assert job(pipeline, "rollback", "--reason", "it was slow") == 0
    assert read_registry(pipeline.config.layout.models).champion == old
    assert job(pipeline, "promote") == 0
    assert job(pipeline, "retire", "--model", old, "--delete") == 0
    assert job(pipeline, "rollback") == 2


def test_the_copy_of_the_champion_predicts_as_the_bundle(pipeline):
    old, _ = names(pipeline)
    assert job(pipeline, "promote", "--model", old, "--reason", "the first") == 0
    assert camoe.load(pipeline.config.layout.models / old).model.manifest.model_version == old


def test_mlflow_has_the_models_with_aliases(pipeline, tmp_path, monkeypatch, capsys):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.chdir(tmp_path)
    old, new = names(pipeline)
    uri = (tmp_path / "runs").as_uri()
    tracked = f"training.tracking={{uri: {uri}, experiment: ads}}"
    assert job(pipeline, "promote", "--model", old, "--reason", "the first", tracked) == 0
    assert f"models: MLflow at {uri} has registered model ads" in capsys.readouterr().out
    assert job(pipeline, "promote", "--to", "shadow", tracked) == 0
    client = mlflow.MlflowClient(uri, uri)

    def aliased():
        aliases = client.get_registered_model("ads").aliases
        return {name: client.get_model_version("ads", number).tags["model_version"] for name, number in aliases.items()}

    assert aliased() == {"champion": old, f"shadow-{new}": new}
    assert job(pipeline, "promote", "--reason", "better", tracked) == 0
    assert aliased() == {"champion": new}
    states = {one.tags["model_version"]: one.tags["state"] for one in client.search_model_versions("name = 'ads'")}
    assert states == {old: "retired", new: "champion"}
    # Nothing but the store that was named.
    assert not (tmp_path / "mlflow.db").exists()
