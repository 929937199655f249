"""Columns are added to days of a table in an object store as to those of one on a disk."""

from __future__ import annotations

import json
from datetime import date

import pytest

from features.delta.commit import open_delta
from features.delta.remote import rows_on
from jobs.add_columns import main
from tests.features import lake
from tests.jobs.in_process import run_main

pytestmark = pytest.mark.slow

DAYS = [date.fromisoformat(day) for day in lake.DAYS]


def rows(spark, address):
    found = rows_on(spark, address, open_delta(address).version(), DAYS).drop("run_id").toJSON().collect()
    return sorted(map(json.loads, found), key=lambda row: row["impression_id"])


def test_columns_of_a_table_in_a_store_are_those_of_a_build_from_nothing(spark, store, tmp_path, capfd):
    lake.write_lake(tmp_path)
    into = [f"training.table=s3://lake/{name}" for name in ("added", "whole")]
    assert lake.run_job(tmp_path / "config.yaml", into[0]) == 0
    settings = lake.config(tmp_path)
    settings["features"]["categorical"].append({"name": "part_of_day", "sql": "hour(local_ts) div 6"})
    settings["features"]["numeric"].append({"name": "twice", "sql": "user.plays * 2"})
    config = lake.write_config(tmp_path, settings)
    for days in (f"{lake.DAYS[0]}..{lake.DAYS[1]}", f"{lake.DAYS[2]}..{lake.DAYS[3]}"):
        assert run_main(main, config, "--columns", "part_of_day,twice", "--days", days, into[0]) == 0
    assert "all other columns as they were" in capfd.readouterr().out
    settings["out"] = str(tmp_path / "other")
    assert lake.run_job(lake.write_config(tmp_path, settings), into[1]) == 0
    assert rows(spark, "s3://lake/added") == rows(spark, "s3://lake/whole")
