"""All files under a path are read, whatever their folders and names, or the run stops and names one that is not."""

from __future__ import annotations

import json

import pytest

from camoe.contracts.errors import InputError
from features.read.raw import RAW, read_impressions
from tests.features.read.logs import WINDOW, as_csv, as_json, as_parquet, row, write_log

AS = {"parquet": as_parquet, "csv": as_csv, "json": as_json}


def files(kind, *names):
    return {f"{name}.{kind}": AS[kind]([row(number)]) for number, name in enumerate(names)}


def ids(spark, folder, sources):
    return sorted(one.impression_id for one in read_impressions(spark, folder, sources, WINDOW).collect())


@pytest.mark.parametrize("kind", AS)
def test_files_of_all_sub_folders_are_read(spark, tmp_path, kind):
    """A folder beside a file, a `key=value` folder beside a file, and folders within both."""
    names = ("a", "late/a", "late/later/a", "hour=00/a", "hour=01/a", "hour=01/part=x/a", "_day=1/a")
    # What Spark and others write beside the data is none.
    beside = {"_SUCCESS": b"", ".a.crc": b"?", "late/_started": b"?", ".staging/a": b"?", "_temporary/0/a": b"?"}
    sources = write_log(tmp_path, kind, {**files(kind, *names), **beside})
    assert ids(spark, tmp_path, sources) == [f"i{number}" for number in range(len(names))]


@pytest.mark.parametrize("kind", AS)
def test_folders_of_hours_within_those_of_days_are_read(spark, tmp_path, kind):
    names = [f"date=2026-01-{day}/hour={hour}/a" for day in ("01", "02") for hour in ("00", "01")]
    found = [{**row(number), "ts": f"{name[5:15]} 10:00:00"} for number, name in enumerate(names)]
    content = {f"{name}.{kind}": AS[kind]([one]) for name, one in zip(names, found, strict=True)}
    sources = write_log(tmp_path, kind, content, path="log/date={day}", repeats_days=1)
    window = type(WINDOW)("UTC", (*WINDOW.days, WINDOW.days[0].replace(day=2)), WINDOW.as_of)
    assert len(read_impressions(spark, tmp_path, sources, window).collect()) == 4


@pytest.mark.parametrize(
    "mark", ["{a,b}", "[ab]", "*", "?", "\\", "%20", " ", "+", "#", "é", "'", '"', "`", ":", "@v1"]
)
def test_a_character_of_a_path_means_itself(spark, tmp_path, mark):
    """A sibling that the path would match, were it a pattern, is not read."""
    folder, sibling = tmp_path / f"x{mark}", tmp_path / "xa"
    for place, number in ((folder, 0), (sibling, 1)):
        place.mkdir()
        sources = write_log(place, "csv", {f"a{mark.replace(':', '')}.csv": as_csv([row(number)])})
    assert ids(spark, folder, sources) == ["i0"]


def test_a_file_that_spark_passes_over_is_named(spark, tmp_path):
    sources = write_log(tmp_path, "csv", {"a.csv": as_csv([row(0)])}, path="_log")
    (tmp_path / "_log").write_bytes(as_csv([row(0)]))
    with pytest.raises(InputError, match=r"^impressions: Spark passes over \S+/_log; give the file"):
        read_impressions(spark, tmp_path, sources, WINDOW)


def test_a_folder_that_holds_itself_is_named(spark, tmp_path):
    sources = write_log(tmp_path, "csv", {"a.csv": as_csv([row(0)])})
    (tmp_path / "log/again").symlink_to(tmp_path / "log")
    with pytest.raises(InputError, match=r"log/again is a link to a folder that it lies in"):
        read_impressions(spark, tmp_path, sources, WINDOW)


def test_what_an_option_leaves_out_is_left_out(spark, tmp_path):
    options = {"header": "true", "pathGlobFilter": "*.csv"}
    sources = write_log(tmp_path, "csv", {"x/a.csv": as_csv([row(0)]), "x/a.txt": b"?"}, options)
    assert ids(spark, tmp_path, sources) == ["i0"]


@pytest.mark.parametrize("kind", AS)
def test_values_of_folders_are_text(spark, tmp_path, kind):
    """Leading zeros, dates and numbers as they are written; percent signs as Spark and others write them."""
    values = {"00": "00", "2026-01-01": "2026-01-01", "1e2": "1e2", "a%3Ab%20c": "a:b c", "100%": "100%", "a+b": "a+b"}
    values |= {"S%C3%A5": "Så", "__HIVE_DEFAULT_PARTITION__": None, "": None}
    sources = write_log(tmp_path, kind, files(kind, *[f"my%20key={value}/a" for value in values]))
    raw = [json.loads(one[RAW])["my key"] for one in read_impressions(spark, tmp_path, sources, WINDOW).collect()]
    assert sorted(raw, key=str) == sorted(values.values(), key=str)


def test_two_folders_of_one_column_are_refused(spark, tmp_path):
    sources = write_log(tmp_path, "csv", files("csv", "a=1/A=2/x"))
    with pytest.raises(InputError, match=r"two folders in \S+log/a=1/A=2 give the same column"):
        read_impressions(spark, tmp_path, sources, WINDOW)


def test_numbers_of_json_of_mixed_kinds_are_text(spark, tmp_path):
    """A double would make 7 and 7.0 one, and lose digits of an identifier."""
    rows = [
        row(0, user=9007199254740993, x={"y": [1.5, 2.5], "z": 1}, w=0.5),
        row(1, user=1.0, x={"y": [7, 7.50], "z": 2}, w=1.5),
    ]
    content = as_json(rows).replace(b"7.5]", b"7.50]")
    sources = write_log(tmp_path, "json", {"a.json": content})
    found = read_impressions(spark, tmp_path, sources, WINDOW).orderBy("impression_id").collect()
    assert [one.user_id for one in found] == ["9007199254740993", "1.0"]
    raw = [json.loads(one[RAW]) for one in found]
    assert [one["x"] for one in raw] == [{"y": ["1.5", "2.5"], "z": 1}, {"y": ["7", "7.50"], "z": 2}]
    assert [one["w"] for one in raw] == [0.5, 1.5]
