"""The check of a configuration as a user runs it: in a second, with exit code 2 and each fault on a line."""

from __future__ import annotations

import resource
import sys

import pytest

from jobs import check, demo
from tests.features import lake
from tests.jobs.commands import run
from tests.jobs.in_process import run_main


def test_a_sound_configuration_is_told_with_the_next_command(tmp_path, capsys):
    config = lake.write_lake(tmp_path)
    assert run_main(check.main, config) == 0
    said = capsys.readouterr().out
    assert "nothing is wrong as far as is seen without Spark" in said
    assert "jobs/build_features.py" in said.splitlines()[-1]


def test_each_fault_has_a_line_and_the_exit_code_is_that_of_a_message(tmp_path, capsys):
    config = lake.write_lake(tmp_path)
    (tmp_path / "raw/users.json").unlink()
    (tmp_path / "raw/campaigns.json").unlink()
    assert run_main(check.main, config) == 2
    said = capsys.readouterr()
    assert sum(line.startswith("wrong ") for line in said.out.splitlines()) == 2
    assert said.err == "error: 2 things to mend, each named above\n"


@pytest.mark.parametrize("main", [check.main, demo.main])
def test_a_lake_that_nothing_names_is_asked_for(main, tmp_path, capsys):
    config = lake.write_lake(tmp_path)
    config.write_text("\n".join(line for line in config.read_text().splitlines() if not line.startswith("input:")))
    assert run_main(main, config) == 2
    assert "nothing says where the raw lake is: give input=FOLDER (make demo: INPUT=FOLDER)" in capsys.readouterr().err


def test_it_needs_two_seconds_of_processor_time_at_most_and_no_spark(tmp_path):
    config = lake.write_lake(tmp_path)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run([sys.executable, "jobs/check.py", "--config", str(config)])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
