"""Two real jobs at once: on different days both hold, on the same day one does and the other leaves nothing."""

from __future__ import annotations

import json
from datetime import date

import pytest
from deltalake import DeltaTable

from camoe.contracts import encoder as encoders
from camoe.contracts.layout import Layout
from camoe.contracts.runs import active_records, active_runs, encoder_version
from camoe.contracts.snapshot import pin
from features.tables.side import days_of_runs
from tests.features import lake
from tests.features.real_job import Job

pytestmark = [pytest.mark.spark, pytest.mark.slow]

FIRST, SECOND, THIRD, LAST = (date.fromisoformat(text) for text in lake.DAYS)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A lake of which each day has a bad row and a value of its own, and nothing built yet."""
    folder = tmp_path_factory.mktemp("concurrent")
    clean = lake.impressions()
    bad = [{**clean[day * lake.ROWS_A_DAY], "id": f"bad{day}", "user": None} for day in range(4)]
    lake.write_lake(folder, impressions=clean + bad)
    settings = lake.config(folder)
    settings["features"]["categorical"].append({"name": "day", "sql": "date"})
    return folder, lake.write_config(folder, settings)


def at_once(folder, config, name, *days):
    """Run one job a day in `days` at the same time; (run id, exit code, errors) of each."""
    jobs = {
        f"{name}-{number}": Job(
            folder / "said" / f"{name}-{number}", config, "--days", day.isoformat(), "--run-id", f"{name}-{number}"
        )
        for number, day in enumerate(days)
    }
    return [(run, job.code(), job.errors()) for run, job in jobs.items()]


def require_whole(layout, built):
    """Check that each of the tables tells of exactly these runs, by day."""
    snapshot = pin(layout.training)
    assert active_runs(snapshot) == built
    per_day = {day: snapshot.on([day]).rows for day in built}
    assert set(per_day.values()) == {lake.ROWS_A_DAY}
    assert days_of_runs(layout.quarantine) == set(built.items())
    assert days_of_runs(layout.profiles) == set(built.items())
    records = active_records(snapshot, layout.runs)
    values = encoders.read(layout.encoder, encoder_version(records)).values["day"]
    assert {day.isoformat() for day in built if day in (FIRST, SECOND)} <= set(values)


def test_jobs_on_different_days_both_hold_and_on_the_same_day_one_does(pipeline):
    folder, config = pipeline
    layout = Layout(folder / "out")

    assert [code for _, code, _ in at_once(folder, config, "none", FIRST, SECOND)] == [0, 0]
    built = {FIRST: "none-0", SECOND: "none-1"}
    require_whole(layout, built)

    runs = at_once(folder, config, "same", FIRST, FIRST)
    assert sorted(code for _, code, _ in runs) == [0, 2], runs
    (loser,) = [run for run, code, _ in runs if code == 2]
    (winner,) = [run for run, code, _ in runs if code == 0]
    ((message,),) = [errors for _, code, errors in runs if code == 2]
    assert f"another run replaced the same days meanwhile: {FIRST}" in message
    assert winner in message
    assert not (layout.runs / f"{loser}.json").exists()
    require_whole(layout, {**built, FIRST: winner})


def test_jobs_on_different_days_of_a_table_both_hold(pipeline):
    folder, config = pipeline
    layout = Layout(folder / "out")
    before = active_runs(pin(layout.training))
    assert [code for _, code, _ in at_once(folder, config, "more", THIRD, LAST, SECOND)] == [0, 0, 0]
    require_whole(layout, {**before, THIRD: "more-0", LAST: "more-1", SECOND: "more-2"})


def test_no_ordinary_run_changes_what_the_table_says_of_itself(pipeline):
    folder, _ = pipeline
    log = folder / "out/training/_delta_log"
    newest = DeltaTable(str(folder / "out/training")).version()
    for version in range(1, newest + 1):
        actions = [json.loads(line) for line in (log / f"{version:020d}.json").read_text().splitlines()]
        assert not [action for action in actions if {"metaData", "protocol"} & action.keys()]
