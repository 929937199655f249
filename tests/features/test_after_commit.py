"""What a run finds and says after its commit, and what it refuses before it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from deltalake import DeltaTable

from camoe.config.command_line import load_config, parse
from camoe.contracts.places.counts import CountError
from camoe.contracts.snapshot import pin
from features import inputs
from features.after_commit import CommittedError, after_commit
from features.build import write_run
from features.prepare import prepare
from features.read.files import input_versions
from jobs.build_features import options, plan_of
from tests.features import lake


def plan(config, *arguments):
    chosen = parse(options(), ["--config", str(config), *arguments])
    return plan_of(chosen, load_config(chosen))


@pytest.fixture(scope="module")
def built(clean_build, tmp_path_factory):
    """All days built once, by run `first`."""
    return lake.copy_of(clean_build, tmp_path_factory.mktemp("committed"))


def test_a_feature_cannot_name_a_helper_column(built, tmp_path, capfd):
    settings = lake.config(built.folder) | {"out": str(tmp_path / "out")}
    settings["features"]["numeric"][0]["sql"] = "_age_user"
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 2
    assert "there is no column `_age_user`" in capfd.readouterr().err


def test_a_new_table_keeps_its_log_for_a_year(built):
    properties = DeltaTable(str(built.layout.training)).metadata().configuration
    assert properties["delta.logRetentionDuration"] == "interval 365 days"
    assert properties["delta.deletedFileRetentionDuration"] == "interval 30 days"


@pytest.mark.slow
def test_a_failure_after_the_commit_says_what_is_committed_and_a_retry_how_to_get_the_counts(built, capfd):
    folder, config, layout = built.folder, built.config, built.layout
    late = {"user": "u0", "ts": f"{lake.DAYS[0]}T07:00:00", "plan": "gold", "plays": 50.0}
    lake.write(folder / "raw/users.json", [*lake.users(), late])
    arguments = ("--days", lake.DAYS[0], "--as-of", "2026-02-01", "--run-id", "second")
    # Where the lock of counts.json is meant to lie.
    obstacle = layout.counts.with_name(f".{layout.counts.name}.lock")
    obstacle.mkdir()
    assert lake.run_job(config, *arguments) == 2
    (error,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "run second is committed as version 1 of" in error
    assert "counts.json" in error
    obstacle.rmdir()
    assert lake.run_job(config, *arguments) == 0
    said = capfd.readouterr().out
    assert "has committed its days already" in said
    assert "counts.json does not tell of it" in said

    assert lake.run_job(config, *arguments[:-1], "third") == 0
    # The zone is Stockholm's.
    assert f"--days {lake.DAYS[1]}..{lake.DAYS[3]} --as-of 2026-01-31T23:00:00+00:00" in capfd.readouterr().out
    assert lake.run_job(config, *arguments[:-1], "third") == 0
    assert "does not tell of it" not in capfd.readouterr().out
    told = json.loads(layout.counts.read_text())["build_features"]
    assert told["content_hash"].keys() == {lake.DAYS[0]}


def test_rows_other_than_those_counted_are_told_by_day_and_slot(spark, built):
    config, layout = built.config, built.layout
    version = pin(layout.training).version
    with prepare(spark, plan(config, "--days", lake.DAYS[1], "--run-id", "miscounted")) as ready:
        cells = {**ready.tally.kept, (date.fromisoformat(lake.DAYS[1]), "break"): 11}
        told = rf"committed as version {version + 1} .* on {lake.DAYS[1]} in slot break: expected 11 rows, found 10"
        with pytest.raises(CommittedError, match=told):
            write_run(spark, replace(ready, tally=replace(ready.tally, kept=cells)))


def test_other_checks_after_the_commit_fail_as_committed_too(tmp_path):
    made = plan(lake.write_lake(tmp_path), "--run-id", "r1")
    with (
        pytest.raises(CommittedError, match=r"run r1 is committed as version 7 .* 3 rows, found 2"),
        after_commit(made, 7),
    ):
        raise CountError("expected 3 rows, found 2")


def test_a_cascade_names_the_entities_as_they_were_when_they_were_read(spark, built, monkeypatch):
    config = built.config
    users = built.folder / "raw/users.json"
    lake.write(users, [*lake.users(), {"user": "u1", "ts": f"{lake.DAYS[0]}T07:30:00", "plan": "gold", "plays": 5.0}])
    asked = plan(config, "--days", lake.DAYS[0], "--cascade")
    read = input_versions(spark, asked.folder, asked.sources, asked.window)
    settle = inputs.cascaded

    def settled_while_users_change(*arguments):
        lake.write(users, lake.users())
        return settle(*arguments)

    monkeypatch.setattr(inputs, "cascaded", settled_while_users_change)
    found = inputs.read_inputs(spark, asked)
    assert len(found.plan.window.days) == 4
    assert found.input_versions["user"] == read["user"]
