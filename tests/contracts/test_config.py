"""Configuration: every shipped file loads, unknown keys are named with their file, overrides reach every section."""

from __future__ import annotations

import re

import pytest
import yaml

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from tests.paths import ROOT

PIPELINES = ("synthetic", "kuairand", "taobao")


@pytest.mark.parametrize("name", PIPELINES)
def test_the_shipped_configurations_load(name):
    assert load(ROOT / f"conf/{name}.yaml", Config).slots.slots


@pytest.mark.parametrize("heads", sorted((ROOT / "conf/heads").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_heads_file_gives_each_slot_one_head_for_clicks(heads):
    pipeline = next((name for name in PIPELINES if heads.stem.startswith(name)), "synthetic")
    config = load(ROOT / f"conf/{pipeline}.yaml", Config, [f"heads={heads}"])
    for slot in config.slots.slots:
        assert config.heads.served(slot)[0] == "click"


@pytest.mark.parametrize("kind", ["camoe", "mmoe", "ple", "shared_bottom", "dcn"])
def test_every_architecture_is_one_file(kind):
    assert load(ROOT / "conf/synthetic.yaml", Config, [f"model=conf/model/{kind}.yaml"]).model.kind == kind


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nonsense=1", "the command line: 'nonsense': unknown key; there are bytes_per_file, calibration, compress, "),
        ("trainig.epochs=1", "the command line: 'trainig': unknown key; did you mean 'training'? There are "),
        ("model.expert.croslayers=1", "'model.expert.croslayers': unknown key; did you mean 'cross_layers'?"),
        ("sources.entities.user.colums=1", "'sources.entities.user.colums': unknown key; did you mean 'columns'?"),
        ("training.checkpoint.kep=1", "unknown key; did you mean 'keep'? There are every_steps, keep"),
        (
            "heads.heads=[{name: a, objective: clik}]",
            "objective 'clik' is not declared in the sources; did you mean 'click'?",
        ),
        (
            "heads.heads=[{name: a, objective: click, where: {modality: [audo]}}]",
            "head 'a': no slot has the modality 'audo' of its 'where'; did you mean 'audio'? There are audio, video",
        ),
        (
            "heads.heads=[{name: a, objective: click, where: {modalty: [audio]}}]",
            "head 'a': no slot has a 'modalty'; did you mean 'modality'? There are content, focus, ",
        ),
        ("training.nonsense=1", "the command line: 'training.nonsense': unknown key"),
        ("model.nonsense=1", "the command line: 'model.nonsense': unknown key"),
        ("model.expert.rank=0", "the command line: 'model.expert.rank': Input should be greater than or equal to 1"),
        ("training.batch_size=none", "'training.batch_size': Input should be a valid integer"),
        ("training.batch_size", "is no override: write key=value"),
        ("heads=conf/heads/absent.yaml", "configuration file conf/heads/absent.yaml does not exist"),
        (
            "heads=conf/heads/modalty.yaml",
            "did you mean 'conf/heads/modality.yaml'? There are conf/heads/content.yaml, ",
        ),
        ("days.zone=Mars/Base", "'Mars/Base' is no IANA time zone"),
        ("days.zone=europe/stokholm", "is no IANA time zone; did you mean 'Europe/Stockholm'?"),
        ("days.test.last=2026-03-32", "'2026-03-32' is no day or time: 2026-03 has the days 1 to 31"),
        (
            "sources.impressions.format=parket",
            "'sources.impressions.format': 'parket' is none of its values; did you mean 'parquet'? There are csv",
        ),
        ("model.kind=camo", "'camo' is none of its values; did you mean 'camoe'? There are camoe, dcn, mmoe, "),
    ],
)
def test_a_wrong_override_is_named(override, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(ROOT / "conf/synthetic.yaml", Config, [override])


def test_a_folder_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match=rf"configuration file {tmp_path} is a folder; "):
        load(tmp_path, Config)


def test_an_unknown_key_is_named_with_the_file_that_holds_it(tmp_path):
    days = yaml.safe_load((ROOT / "conf/days/synthetic.yaml").read_text()) | {"holidays": []}
    (tmp_path / "days.yaml").write_text(yaml.safe_dump(days))
    with pytest.raises(ConfigError, match=rf"{tmp_path}/days.yaml: 'days.holidays': unknown key"):
        load(ROOT / "conf/synthetic.yaml", Config, [f"days={tmp_path}/days.yaml"])


def test_a_day_that_there_is_not_is_named_with_the_file_that_holds_it(tmp_path):
    text = (ROOT / "conf/days/synthetic.yaml").read_text().replace("2026-03-11", "2026-03-32")
    (tmp_path / "days.yaml").write_text(text)
    with pytest.raises(
        ConfigError,
        match=rf"{tmp_path}/days.yaml is no valid YAML: line \d+, column \d+: '2026-03-32' is no day or time: ",
    ):
        load(ROOT / "conf/synthetic.yaml", Config, [f"days={tmp_path}/days.yaml"])


def test_a_key_that_is_there_twice_is_refused_with_its_line(tmp_path):
    text = (ROOT / "conf/days/synthetic.yaml").read_text() + "zone: UTC\n"
    (tmp_path / "days.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"{tmp_path}/days.yaml is no valid YAML: line 6, column 1: the key 'zone'"):
        load(ROOT / "conf/synthetic.yaml", Config, [f"days={tmp_path}/days.yaml"])


def test_an_override_reaches_into_a_referenced_file():
    config = load(ROOT / "conf/synthetic.yaml", Config, ["training.stream.lanes=9", "out=/somewhere"])
    assert config.training.stream.lanes == 9
    assert str(config.layout.training) == "/somewhere/training"


def test_a_slot_with_two_heads_is_refused(tmp_path):
    heads = {"heads": [{"name": "a", "objective": "click"}, {"name": "b", "objective": "click"}]}
    (tmp_path / "heads.yaml").write_text(yaml.safe_dump(heads))
    with pytest.raises(ConfigError, match="needs exactly one head for objective 'click', found: a, b"):
        load(ROOT / "conf/synthetic.yaml", Config, [f"heads={tmp_path}/heads.yaml"])


def test_a_slot_name_that_could_leave_its_folder_is_refused(tmp_path):
    slots = {"slots": [{"id": "../up", "name": "Up", "modality": "audio"}]}
    (tmp_path / "slots.yaml").write_text(yaml.safe_dump(slots))
    with pytest.raises(ConfigError, match="String should match pattern"):
        load(ROOT / "conf/synthetic.yaml", Config, [f"slots={tmp_path}/slots.yaml"])
