"""Of a Delta log that is partitioned by day a run reads the days that it needs, as of files in folders by day."""

from __future__ import annotations

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Sources
from features.read.files import impression_paths, input_versions, outcome_paths, pinned
from features.read.raw import FOLDER_DAY, read_impressions, read_outcome_log
from tests.features.read.days import DAY_S, day, sources, window

BY_DAY = {"path": "log", "format": "delta", "day_column": "on"}


def write_log(folder, days, **columns):
    """Write an impression a day; of the days that are None the partition is null."""
    made = {
        "id": [f"i{number}" for number in range(len(days))],
        "user": ["u"] * len(days),
        "campaign": ["c"] * len(days),
        "slot": ["s"] * len(days),
        "ts": [f"{found or day(0)}T12:00:00" for found in days],
        "on": pa.array([None if found is None else str(found) for found in days], pa.string()),
        **columns,
    }
    write_deltalake(folder / "log", pa.table(made), partition_by=["on"], mode="append")


def log(**changes):
    columns = {"impression_id": "id", "user_id": "user", "campaign_id": "campaign", "slot": "slot", "ts": "ts"}
    return sources(impressions={**BY_DAY, "columns": columns, "labels": {}, "exclude": [], **changes})


def test_only_the_days_of_the_run_and_those_before_are_read(spark, tmp_path):
    write_log(tmp_path, [day(number) for number in range(5)])
    # Whoever opened the file of another day would fail.
    for file in (tmp_path / f"log/on={day(1)}").glob("*.parquet"):
        file.write_bytes(b"not to be opened")
    rows = read_impressions(spark, tmp_path, log(), window(0, 3)).collect()
    assert {row.impression_id: row[FOLDER_DAY] for row in rows} == {f"i{number}": day(number) for number in (0, 2, 3)}
    rows = read_impressions(spark, tmp_path, log(repeats_days=0), window(3)).collect()
    assert [row.impression_id for row in rows] == ["i3"]


def test_a_day_that_is_missing_is_named_in_the_version_that_is_read(spark, tmp_path):
    write_log(tmp_path, [day(0)])
    with pytest.raises(InputError, match=rf"impressions of {day(1)}: \S+/log has no rows with such a on"):
        impression_paths(spark, tmp_path, log(), window(0, 1))
    versions = input_versions(spark, tmp_path, only_impressions(), window(0))
    write_log(tmp_path, [day(1)])
    assert impression_paths(spark, tmp_path, log(), window(0, 1)) == [tmp_path / "log"]
    with pytest.raises(InputError, match="has no rows"):
        impression_paths(spark, tmp_path, pinned(only_impressions(), versions), window(0, 1))


def only_impressions():
    return log().model_copy(update={"outcomes": None, "entities": {}})


@pytest.mark.parametrize("days", [[day(0), None], [day(0), "first"]])
def test_rows_whose_day_is_none_are_refused(spark, tmp_path, days):
    write_log(tmp_path, days, ts=[f"{day(0)}T12:00:00"] * 2)
    with pytest.raises(InputError, match=r"has rows whose on is no day \(2026-03-02\), which no run would read"):
        impression_paths(spark, tmp_path, log(), window(0))


def test_a_column_that_divides_no_folders_is_refused_by_name(spark, tmp_path):
    write_log(tmp_path, [day(0)])
    with pytest.raises(InputError, match=r"day_column 'one' is no partition column of .*; did you mean 'on'"):
        impression_paths(spark, tmp_path, log(day_column="one"), window(0))


def test_outcomes_by_day_are_read_as_far_as_the_window_reaches(spark, tmp_path):
    write_log(tmp_path, [day(number) for number in range(5)])
    told = {**BY_DAY, "columns": {"impression_id": "id", "objective": "slot", "ts": "ts"}}
    found = sources(DAY_S, outcomes=told)
    rows = read_outcome_log(spark, tmp_path, found, found.outcomes, window(2)).collect()
    assert {row.impression_id: row[FOLDER_DAY] for row in rows} == {"i2": day(2), "i3": day(3)}
    late = window(4, as_of=f"{day(4)}T21:00:00+00:00")
    assert outcome_paths(spark, tmp_path, found, late) == [tmp_path / "log"]
    with pytest.raises(InputError, match=f"outcomes of {day(5)}: "):
        outcome_paths(spark, tmp_path, found, window(4))


def test_only_a_delta_table_has_a_day_column():
    settings = log().model_dump(mode="json")
    settings["impressions"]["format"] = "parquet"
    with pytest.raises(ValueError, match=r"day_column is for Delta tables; of files \{day\} in the path says the day"):
        Sources.model_validate(settings)


def test_a_log_by_day_looks_back_one_day_for_repeats():
    assert log().impressions.reach_days == 1
    assert log(day_column=None).impressions.reach_days is None
