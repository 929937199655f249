"""`camoe COMMAND`: the jobs from any folder, each started as it has to be started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from camoe.__main__ import command_line
from camoe.contracts.errors import ConfigError
from camoe.contracts.shown.commands import JOBS
from tests.features import lake
from tests.paths import ROOT

SUBMIT = [str(Path(sys.executable).with_name("spark-submit")), "--properties-file", str(ROOT / "conf/spark/local.conf")]


@pytest.mark.parametrize(
    ("arguments", "job", "in_spark"),
    [
        ("check", "check", False),
        ("lake seed=3", "make_lake", True),
        ("features --days 2026-03-02", "build_features", True),
        ("features --help", "build_features", False),
        ("train -np 2", "train", False),
        ("train --launcher spark", "train", True),
        ("score", "score", True),
        ("score --local", "score", False),
        ("evaluate", "evaluate", True),
        ("maintain pins", "maintain", False),
        ("maintain compact", "maintain", True),
    ],
)
def test_a_command_starts_its_job_with_spark_where_it_needs_it(arguments, job, in_spark):
    name, *given = [*arguments.split(), "--config", "conf/synthetic.yaml"]
    start = SUBMIT if in_spark else [sys.executable]
    assert command_line([name, *given]) == [*start, str(ROOT / f"jobs/{job}.py"), *given]


def test_a_configuration_that_is_not_here_is_that_of_the_clone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shipped = str(ROOT / "conf/synthetic.yaml")
    assert command_line(["check"])[2:] == ["--config", shipped]
    assert command_line(["check", "--config=conf/synthetic.yaml"])[2:] == [f"--config={shipped}"]
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/synthetic.yaml").touch()
    assert command_line(["check"])[2:] == ["--config", "conf/synthetic.yaml"]
    given = command_line(["train", "heads=conf/heads/single.yaml"])[2]
    assert given == f"heads={ROOT / 'conf/heads/single.yaml'}"


def test_the_job_that_writes_a_configuration_is_given_none():
    assert command_line(["init", "log.csv"]) == [sys.executable, str(ROOT / "jobs/init.py"), "log.csv"]


def test_every_job_has_a_command():
    assert set(JOBS.values()) == {path.stem for path in (ROOT / "jobs").glob("*.py")}


def test_an_unknown_command_is_told_with_the_one_that_was_meant():
    with pytest.raises(ConfigError, match=r"there is no command 'trian'; did you mean 'train'\? There are check, "):
        command_line(["trian"])


def test_a_job_that_a_command_started_names_commands(tmp_path):
    config = lake.write_lake(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "camoe", "check", "--config", config.name]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == f"next:  camoe features --config {config.name}", done.stderr
