"""A backfill side by side: fitted once, days in any order are those that one run of all of them would have built."""

from __future__ import annotations

from datetime import date

import pytest

from camoe.contracts import encoder as encoders
from camoe.contracts.runs import active_records, active_runs, stale_days
from camoe.contracts.snapshot import is_delta_table, pin
from features.incremental import without_built
from tests.features import lake
from tests.features.real_job import Job

pytestmark = [pytest.mark.spark, pytest.mark.slow]

DAYS = tuple(date.fromisoformat(text) for text in lake.DAYS)
AS_OF = ("--as-of", "2026-01-05T12:00:00+00:00")
HISTORY = {
    "since": lake.DAYS[0],
    "objectives": ["click"],
    "windows": ["all", "1d"],
    "smoothing": "fitted",
    "keys": {"all": [], "user": ["user_id"], "advertiser": ["campaign.advertiser"]},
}


def write(folder):
    """A lake with a value on each day that no other day has, and one that two training days have once each."""
    lake.write_lake(folder)
    settings = lake.config(folder)
    settings["features"]["history"] = HISTORY
    settings["features"]["categorical"] += [
        {"name": "day", "sql": "date"},
        {"name": "once_a_day", "sql": "CASE WHEN campaign_id = 'c1' THEN minute(ts) END", "min_count": 2},
    ]
    settings["features"]["sequence"] = [{"name": "seen", "sql": "campaign_id", "key": "user", "max_length": 4}]
    return lake.Lake(folder, lake.write_config(folder, settings))


def rows(spark, layout):
    """All rows in order of their impressions, so that one that was built twice is seen."""
    found = spark.read.format("delta").load(str(layout.training)).drop("run_id").collect()
    return sorted((row.asDict() for row in found), key=lambda row: row["impression_id"])


def test_days_side_by_side_are_those_of_one_run(spark, tmp_path, capfd):
    whole, some = write(tmp_path / "whole"), write(tmp_path / "some")
    assert lake.run_job(whole.config, *AS_OF) == 0

    assert lake.run_job(some.config, "--encoder", "keep", "--days", lake.DAYS[0]) == 2
    assert "there is no encoder" in capfd.readouterr().err
    assert lake.run_job(some.config, "--encoder", "fit", *AS_OF) == 0
    assert f"version 1, fitted to {lake.DAYS[0]}..{lake.DAYS[1]}" in capfd.readouterr().out
    assert not is_delta_table(some.layout.training)

    def job(name, *days):
        keep = ("--encoder", "keep", "--missing", *AS_OF)
        return Job(tmp_path / name, some.config, "--days", ",".join(days), "--run-id", name, *keep, memory="2g")

    late, early = job("late", lake.DAYS[3], lake.DAYS[1]), job("early", lake.DAYS[2], lake.DAYS[0])
    late.until(lambda: late.has_printed("checking impressions: done"))
    late.kill()
    assert early.code() == 0, early.said()
    assert without_built(some.layout.training, DAYS) == (DAYS[1], DAYS[3])

    assert lake.run_job(some.config, "--encoder", "keep", "--missing", "--run-id", "rest", *AS_OF) == 0
    assert f"rest, days {lake.DAYS[1]},{lake.DAYS[3]}" in capfd.readouterr().out
    assert lake.run_job(some.config, "--encoder", "keep", "--missing", *AS_OF) == 0
    assert "has all of these days; nothing to do" in capfd.readouterr().out

    assert rows(spark, some.layout) == rows(spark, whole.layout)
    found = active_records(pin(some.layout.training), some.layout.runs)
    assert active_runs(pin(some.layout.training)) == dict(zip(DAYS, ("early", "rest", "early", "rest"), strict=True))
    assert stale_days(found) == {}
    kept, theirs = (encoders.read(one.layout.encoder) for one in (some, whole))
    assert (kept.version, kept.content_hash()) == (1, theirs.content_hash())
