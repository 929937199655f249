"""The studies of conf/studies, and what makes two trials the same one."""

import json
import re
import shlex

import pytest

from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from camoe.study.declared import Study
from camoe.study.prepare import commands
from camoe.study.states import groups
from camoe.study.trial import Factors, StudyError, config_of, trial_of
from tests.paths import ROOT

SHIPPED = sorted(path.name for path in (ROOT / "conf/studies").glob("*.yaml"))
LAKES = sorted(path.name for path in (ROOT / "conf").glob("*.yaml"))
# Of the study of a lake of one's own, whose configuration is not shipped.
OWN = {"mine.yaml": ("base.config=conf/synthetic.yaml",)}


def read(name, *overrides):
    return load(ROOT / "conf/studies" / name, Study, (*OWN.get(name, ()), *overrides))


def one(study, variant="modality", **changes):
    return trial_of(study, next(iter(study.folds)), variant, study.seeds[0], **{"table_version": 3, **changes})


@pytest.mark.parametrize("name", SHIPPED)
def test_every_variant_of_a_shipped_study_has_a_configuration_of_its_own(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read(name)
    trials = [
        trial_of(study, fold, variant, study.seeds[0], table_version=1)
        for fold in study.folds for variant in study.variants
    ]  # fmt: skip
    assert len({trial.folder for trial in trials}) == len(trials)
    for trial in trials:
        config, fold = config_of(trial.task), study.folds[trial.task.fold]
        assert (config.out, config.layout.training) == (trial.folder, fold.lake / "training")
        assert config.training.normalise == "batch"
        assert (config.training.ensemble, config.training.refit) == (1, False)
        if fold.choose:
            assert config.days.validation.last < fold.choose.first <= fold.choose.last < config.days.test.first


def heads_of(study, variant):
    heads = config_of(one(study, variant).task).heads.heads
    return {head.name: {key: list(values) for key, values in head.where.items()} for head in heads}


@pytest.mark.parametrize("lake", LAKES)
def test_the_study_of_ones_own_lake_groups_the_slots_of_any(lake, monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read("mine.yaml", f"base.config=conf/{lake}", "variants.slot={title: each, grouping: slot}")
    slots = config_of(one(study, "single").task).slots
    assert heads_of(study, "single") == {"click_all": {}}
    assert heads_of(study, "modality") == {f"click_{name}": {"modality": [name]} for name in slots.modalities}
    assert heads_of(study, "slot") == {f"click_{slot.id}": {"slot": [slot.id]} for slot in slots.slots}
    assert (study.claims, study.pictures, study.folds["main"].make) == ({}, (), None)


def test_heads_of_other_objectives_stay_when_those_of_the_first_are_grouped(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read("mine.yaml", "base.overrides=[heads=conf/heads/multi_objective.yaml]")
    assert list(heads_of(study, "single")) == ["click_all", "video_completion", "conversion"]
    assert config_of(one(study, "single").task).heads.objectives[0] == "click"


def test_a_lake_of_one_modality_says_what_to_group_by(monkeypatch):
    """As `jobs/init.py` writes it."""
    monkeypatch.chdir(ROOT)
    slots = "slots={slots: [{id: s0, name: s0, modality: all}, {id: s1, name: s1, modality: all}]}"
    base = f"base.overrides={json.dumps([slots, 'heads={heads: [{name: click, objective: click}]}'])}"
    with pytest.raises(StudyError, match=r"variants.modality: all slots of out/synthetic have one modality, 'all', so"):
        one(read("mine.yaml", base))
    study = read("mine.yaml", base, "variants.modality.grouping=slot")
    assert list(heads_of(study, "modality")) == ["click_s0", "click_s1"]
    assert list(groups(config_of(one(study).task).slots)) == [("all", "all"), ("slot", "s0"), ("slot", "s1")]


def test_the_raw_lake_of_the_base_is_given_to_what_is_built_and_changes_no_trial(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read("kuairand.yaml", "base.input=/data/kuairand")
    (build,) = commands(study, study.folds["april_30"])
    assert "input=/data/kuairand" in build
    assert str(config_of(one(study).task).raw) == "/data/kuairand"
    assert one(study).folder.name == one(read("kuairand.yaml")).folder.name


@pytest.mark.parametrize("page", ["docs/studies.md", "docs/results/studies.md", "docs/your-data.md", "README.md"])
def test_every_study_that_a_page_runs_is_sound(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    lines = re.findall(r"jobs/study\.py --study ([^`#\n]+)", (ROOT / page).read_text())
    assert lines
    for line in lines:
        path, *given = [word for word in shlex.split(line) if word != "--jobs" and not word.isdigit()]
        # A lake of one's own is any other than that of the study.
        overrides = [re.sub("^base.config=.*", "base.config=conf/taobao.yaml", word) for word in given]
        study = read(path.removeprefix("conf/studies/"), *overrides)
        for fold in study.folds:
            trial_of(study, fold, study.baseline, 1, table_version=1)


def test_another_setting_seed_version_or_factor_is_another_trial_and_the_place_is_not(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read("core.yaml")
    same = one(read("core.yaml", "out=/elsewhere"))
    assert one(study).folder.name == same.folder.name
    others = [
        one(study, table_version=4), one(study, factors=Factors(rate=2.0)), one(study, "single"),
        one(read("core.yaml", "seeds=[7]")), one(read("core.yaml", "base.overrides=[training.epochs=9]")),
        one(read("core.yaml", "folds.main.lake=/other")),
    ]  # fmt: skip
    assert len({one(study).folder.name, *(other.folder.name for other in others)}) == 7


def test_factors_multiply_all_rates_and_what_regularises(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read("core.yaml")
    plain, tuned = (
        config_of(one(study, factors=factors).task).training
        for factors in (None, Factors(rate=2.0, regularisation=0.5))
    )
    assert tuned.learning_rate == 2 * plain.learning_rate
    assert tuned.embedding_learning_rate == 2 * plain.embedding_learning_rate
    assert tuned.weight_decay == plain.weight_decay / 2


def test_a_lake_is_made_and_built_with_the_days_that_choose(monkeypatch):
    monkeypatch.chdir(ROOT)
    study = read("core.yaml", "folds.main.lake=/lake", "folds.main.make_overrides=[seed=5]")
    make, build = commands(study, study.folds["main"])
    assert make == ("jobs/make_lake.py", "--config", "conf/lake/default.yaml", "out=/lake", "seed=5")
    assert build[:3] == ("jobs/build_features.py", "--config", "conf/synthetic.yaml")
    assert build[-2:] == ("--days", "2026-03-02..2026-03-11")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("baseline=nobody", "baseline: there is no variant 'nobody'"),
        ("seeds=[1,1]", "seeds: a seed stands there twice"),
        ("variants.single.match_parameters=nobody", "variants.single.match_parameters: there is no variant 'nobody'"),
        ("variants.lightgbm={title: t, system: lightgbm, match_parameters: single}", "match_parameters is of networks"),
        ("folds.main.lakes=1", "unknown key"),
        ("base.overrides=['training.tracking.uri=https://me:secret@host']", "holds a secret"),
    ],
)
def test_what_is_declared_wrong_is_told_with_its_place(override, message):
    with pytest.raises(ConfigError, match=message):
        read("core.yaml", override)
