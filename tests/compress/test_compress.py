"""The job: from a bundle to a cheaper one in another folder, each step a bundle, measured on the same rows."""

from __future__ import annotations

import json

import pytest

import camoe
from camoe.bundle.manifest import open_bundle
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from jobs import compress
from tests.jobs.in_process import run_main
from tests.score.pipeline import write_scorable
from tests.train.pipeline import CONFIG

TRAINING = CONFIG["training"] | {"dtype": "float32", "epochs": 1}
STUDENT = "compress.student={embedding_dim: 2, experts: 2, expert: {hidden: [4, 3]}, tower_hidden: []}"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("source"), training=TRAINING)


def told(folder):
    return json.loads((folder / "compress.json").read_text())["stages"]


@pytest.mark.lengthy
def test_a_cut_model_is_tuned_and_written_beside_the_source_which_stays(source, capsys):
    before = open_bundle(source.bundle).manifest.model_version
    given = ["compress.experts=1", "compress.embedding_dim=3", "compress.min_rows=30"]
    assert run_main(compress.main, source.path, *given) == 0
    assert open_bundle(source.bundle).manifest.model_version == before
    folder = source.config.out / "compressed"
    stages = told(folder)
    assert [stage["name"] for stage in stages] == ["source", "cut", "tuned"]
    made = open_bundle(folder / "bundle")
    assert [stages[0]["version"], stages[2]["version"]] == [before, made.manifest.model_version]
    assert len({stage["version"] for stage in stages}) == 3
    assert stages[2]["parameters"] == stages[1]["parameters"] < stages[0]["parameters"]
    assert stages[2]["multiplications"] < stages[0]["multiplications"]
    assert made.spec.model.embedding_dim == 3
    # Where both heads keep the same one nothing has to be told of it.
    assert {len(of_head) for of_member in made.spec.kept_experts for of_head in of_member} <= {1}
    assert made.spec.model.experts == (2 if made.spec.kept_experts else 1)
    # The test day's rows of both heads are the same for all.
    assert stages[0]["metrics"].keys() == {"all", "audio", "video"}
    assert stages[0]["metrics"]["all"]["ne"]["change"] == 0
    assert stages[2]["metrics"]["all"]["ne"]["interval"] is not None
    assert f"Cut from model {before} and not trained since" in (folder / "steps/cut/bundle/card.md").read_text()
    assert "| tuned |" in (folder / "compress.md").read_text()
    assert f"out={folder} lake={source.config.out}" in capsys.readouterr().out.splitlines()[-1]
    assert camoe.load_torch(folder / "bundle").embedding.table.weight.shape[1] == 3


@pytest.mark.slow
def test_a_student_learns_out_of_fold_and_is_cut(source, tmp_path):
    given = [STUDENT, "compress.folds=2", "compress.experts=1", "training.refit=true", "compress.tune.rate=0.1"]
    assert run_main(compress.main, source.path, "--to", str(tmp_path / "small"), *given) == 0
    stages = told(tmp_path / "small")
    assert [stage["name"] for stage in stages] == ["source", "student", "cut", "tuned"]
    steps = tmp_path / "small/steps"
    for fold in (0, 1):
        config = json.loads((steps / f"fold{fold}of2/bundle/config.json").read_text())
        assert config["training"]["left_out"] == {"fold": fold, "of": 2}
    student, tuned = (
        json.loads((path / "bundle/metrics.json").read_text()) for path in (steps / "student", steps.parent)
    )
    assert (student["refit"], len(tuned["refit"])) == ([], 1)
    assert open_bundle(steps.parent / "bundle").spec.model.embedding_dim == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "nothing is asked for: give compress.student, or what to cut"),
        (["compress.folds=1"], "with one fold a teacher would have no users to learn from"),
        (["compress.folds=2", "compress.teacher_column=oof"], "have to be out of fold already"),
        (["--to", "{out}", "compress.experts=1"], "holds the source; choose another folder"),
        (["compress.experts=1", "heads.heads=[{name: all, objective: click}]"], "has other features or heads than the"),
        (["compress.experts=1", "compress.embedding_dim=9"], "the model's embeddings have 4 columns"),
    ],
)
def test_what_cannot_be_done_is_told(source, capsys, given, message):
    out = str(load(source.path, Config).out)
    assert run_main(compress.main, source.path, *(text.replace("{out}", out) for text in given)) == 2
    assert message in capsys.readouterr().err
