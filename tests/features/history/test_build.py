"""The history in whole builds: day by day as at once, and days that rest on changed ones."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from math import log1p

import pytest

from camoe.contracts import encoder as encoders
from camoe.contracts.errors import MaintenanceError
from camoe.contracts.history import History
from camoe.contracts.layout import Layout
from camoe.contracts.runs import active_records, stale_days
from camoe.contracts.snapshot import pin
from features.delta.log import active_files
from features.maintenance.forget import forget, plan_forget
from features.maintenance.history import history_folders
from tests.features import lake
from tests.features.history.declared import HISTORY, SEQUENCES


def written(folder, **more):
    lake.write_lake(folder)
    settings = lake.config(folder)
    settings["features"]["history"] = {**HISTORY, **more}
    settings["features"]["sequence"] = SEQUENCES
    settings["features"]["numeric"].append({"name": "above", "sql": "features.user_impressions_all - features.plays"})
    return lake.write_config(folder, settings)


def numbers(spark, folder):
    """The numerics and the sequences of each impression."""
    rows = spark.read.format("delta").load(str(folder / "out/training")).collect()
    names = [name for name in rows[0].asDict() if name.startswith(("num_", "seq_"))]
    return {row["impression_id"]: [row[name] for name in names] for row in rows}


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("at_once")
    assert lake.run_job(written(folder)) == 0
    return folder


def test_counts_are_those_of_the_log(spark, at_once):
    table = spark.read.format("delta").load(str(at_once / "out/training"))
    found = {row["impression_id"]: row for row in table.collect()}
    shown = [row for row in lake.impressions() if row["user"] == "u3"]
    for row in shown:
        before = datetime.fromisoformat(row["ts"]) - timedelta(minutes=5)
        earlier = [other for other in shown if datetime.fromisoformat(other["ts"]) < before]
        told = found[row["id"]]
        assert told["num_user_impressions_all"] == len(earlier)
        recent = [other for other in earlier if other["ts"] >= f"{before.date() - timedelta(days=1)}"]
        assert told["num_user_impressions_1d"] == len(recent)
        if told["num_plays"] is not None:
            assert told["num_above"] == len(earlier) - told["num_plays"]
    assert found["i0-0"]["num_user_since_impression"] is None
    assert found["i3-0"]["num_user_click_rate_all"] is not None


def test_sequences_are_those_of_the_log(spark, at_once):
    table = spark.read.format("delta").load(str(at_once / "out/training"))
    found = {row["impression_id"]: row for row in table.collect()}
    values = encoders.read(at_once / "out/encoder").values
    clicks = {row["id"] for row in lake.outcomes()}
    for row in (one for one in lake.impressions() if one["user"] == "u3"):
        shown, told = datetime.fromisoformat(row["ts"]), found[row["id"]]
        earlier = [
            (other, datetime.fromisoformat(other["ts"])) for other in lake.impressions() if other["user"] == "u3"
        ]
        seen = [(other["campaign"], at) for other, at in earlier if at < shown - timedelta(minutes=5)][-5:]
        assert [values["seen"][index - 2] for index in told["seq_seen"]] == [campaign for campaign, _ in seen]
        ages = [log1p((shown - at).total_seconds()) for _, at in seen]
        assert told["seq_seen_age"] == pytest.approx(ages)
        # A click counts once its window of an hour has closed.
        since = (shown - timedelta(minutes=5)).date() - timedelta(days=1)
        clicked = [
            f"a{int(other['campaign'][1:]) % 2}"
            for other, at in earlier
            if other["id"] in clicks and at + timedelta(hours=1) < shown - timedelta(minutes=5) and at.date() >= since
        ][-3:]
        assert [values["advertiser"][index - 2] for index in told["seq_clicked"]] == clicked


def test_a_forgotten_user_leaves_the_events_and_the_sums_of_users(spark, at_once, tmp_path):
    layout = Layout(shutil.copytree(at_once / "out", tmp_path / "out"))
    (folder,) = history_folders(layout)
    keys = History.model_validate(HISTORY)
    with pytest.raises(MaintenanceError, match="key sets advertiser in"):
        plan_forget(layout, folder, keys, ["u3"], ())
    plan = plan_forget(layout, folder, keys, ["u3"], ["advertiser"])
    mine = [row for row in lake.impressions() if row["user"] == "u3"]
    found = {item.table.name: item.rows for item in forget(plan, delete=True)}
    assert found["events"] == len(mine)
    assert min(found["states"], found["tails"]) > 0
    assert sum(file["num_records"] for file in active_files(folder / "events")) == len(lake.impressions()) - len(mine)


@pytest.mark.slow
def test_another_order_of_days_and_a_day_that_is_built_again_give_the_same(spark, at_once, tmp_path, capfd):
    config = written(tmp_path)
    assert lake.run_job(config, "--days", lake.DAYS[2]) == 2
    assert "there is no encoder" in capfd.readouterr().err
    for days in (lake.DAYS[0], lake.DAYS[3], f"{lake.DAYS[1]}..{lake.DAYS[2]}", lake.DAYS[1]):
        assert lake.run_job(config, "--days", days) == 0
    assert numbers(spark, tmp_path) == numbers(spark, at_once)
    layout = Layout(tmp_path / "out")
    active = active_records(pin(layout.training), layout.runs)
    assert stale_days(active) == {}
    lake.write(tmp_path / "raw/outcomes.json", lake.outcomes()[1:])
    assert lake.run_job(config, "--days", lake.DAYS[0]) == 0
    assert "history outcomes changed before 2026-01-01 was built again" in capfd.readouterr().out
    stale = stale_days(active_records(pin(layout.training), layout.runs))
    assert stale.keys() == {date.fromisoformat(day) for day in lake.DAYS[1:]}
