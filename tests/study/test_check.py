"""What is wrong with a study is told before a lake is built or a trial begun."""

import json

import pytest

from camoe.contracts.config_file import load
from camoe.contracts.errors import CamoeError
from camoe.study import check
from camoe.study.check import require_sound
from camoe.study.declared import Study
from camoe.study.run import run_study
from camoe.study.trial import StudyError
from jobs.study import main
from tests.study.small import SINGLE, VARIANTS, write_study
from tests.train.pipeline import CONFIG

TWICE = f"slots={json.dumps({'slots': [*CONFIG['slots']['slots'], {'id': 'video', 'name': 'V', 'modality': 'video'}]})}"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return write_study(folder, folds={"main": {"lake": str(folder / "none"), "make": "conf/none.yaml"}})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("claims.video.groups=[vidoe]", "claims.video: there is no group 'vidoe' of rows; did you mean 'video'?"),
        ("pictures=[[audio, s9]]", "pictures: there is no group 's9' of rows; there are all, audio"),
        ("variants.one.overrides=[trainng.mask=false]", "trainng': unknown key; did you mean 'training'?"),
        ("variants.two.overrides=[training.table=/a]", "variant two: training.table is set"),
        (f"base.overrides={json.dumps([TWICE])}", "two groups of rows, slots or modalities, are called video"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_made(study, override, message):
    with pytest.raises(CamoeError, match=f".*{message}".replace("?", r"\?")):
        main(["--study", str(study), override])
    assert not (study.parent / "none").exists()
    assert not (study.parent / "study").exists()


def test_a_library_that_is_not_there_is_named(study, monkeypatch):
    monkeypatch.setattr(check, "find_spec", lambda name: None)
    with pytest.raises(CamoeError, match=r"the study needs lightgbm: pip install 'camoe\[study\]'"):
        require_sound(load(study, Study))


def test_what_makes_a_comparison_unfair_is_told_by_name(study):
    wrong = ["training.ensemble=3", "training.refit=true", "training.normalise=head"]
    found = require_sound(load(study, Study, [f"variants.one.overrides={json.dumps(wrong)}"]))
    assert found == [
        "variant one: training.normalise is head, and comparing fairly takes batch (base.overrides)",
        "variant one: training.ensemble is 3, and comparing fairly takes 1 (base.overrides)",
        "variant one: training.refit is true, and comparing fairly takes false (base.overrides)",
    ]


def test_a_size_that_a_variant_cannot_have_is_told_before_any_trial(tmp_path):
    deep = "model={kind: dcn, network: {cross_layers: 200, hidden: [4]}, tower_hidden: []}"
    variants = VARIANTS | {"deep": {"title": "", "overrides": [SINGLE, deep], "match_parameters": "one"}}
    study = load(write_study(tmp_path, variants=variants), Study, ())
    with pytest.raises(StudyError, match=r"variants.deep, fold main: model.match_parameters: no widths give"):
        run_study(study, 1)
    assert not (tmp_path / "study/trials").exists()
