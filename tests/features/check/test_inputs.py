"""The check of a configuration against its input, without Spark: it names each slip, and none where there is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
import yaml
from deltalake import write_deltalake

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from features.check.inputs import check_input
from features.plan import window_of
from tests.paths import ROOT

NOW = datetime(2026, 2, 1, tzinfo=UTC)
LOG = {"id": ["a", "b", "c"], "user": [1, 2, 3], "ad": [7, 7, 8], "place": ["feed"] * 3, "clk": [0, 1, 0]}


def settings(folder):
    return {
        "out": str(folder / "out"),
        "input": str(folder / "raw"),
        "slots": {"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]},
        "heads": {"heads": [{"name": "all", "objective": "click"}]},
        "sources": {
            "impressions": {
                "path": "log.parquet",
                "columns": {
                    "impression_id": "id",
                    "user_id": "user",
                    "campaign_id": "cast(ad as string)",
                    "slot": "place",
                    "ts": "try_cast(at as timestamp)",
                },
                "labels": {"click": "clk"},
            },
            "entities": {
                "user": {"path": "users.csv", "format": "csv", "options": {"header": "true"}, "key": "user_id",
                         "columns": {"user_id": "uid", "age": "cast(age as int)"}},
                "ad": {"path": "ads", "format": "delta", "key": "campaign_id",
                       "columns": {"campaign_id": "ad", "brand": "brand"}},
            },
            "objectives": {"click": {}},
        },
        "features": {
            "categorical": [{"name": "hour", "sql": "hour(local_ts)"}, {"name": "brand", "sql": "ad.brand"}],
            "numeric": [{"name": "age", "sql": "user.age"}, {"name": "old", "sql": "features.age * 2"}],
        },
        "days": {day: {"first": f"2026-01-0{at}", "last": f"2026-01-0{at}"}
                 for at, day in enumerate(("train", "validation", "test"), 1)},
    }  # fmt: skip


@pytest.fixture
def lake(tmp_path):
    """A folder with a raw lake of parquet, CSV and Delta."""
    (tmp_path / "raw").mkdir()
    pq.write_table(pa.table({**LOG, "at": ["2026-01-01"] * 3}), tmp_path / "raw/log.parquet")
    pc.write_csv(pa.table({"uid": [1, 2], "age": [30, 40]}), tmp_path / "raw/users.csv")
    write_deltalake(tmp_path / "raw/ads", pa.table({"ad": [7, 8], "brand": ["x", "y"]}))
    return tmp_path


def check(folder, change=lambda given: None):
    given = settings(folder)
    change(given)
    (folder / "mine.yaml").write_text(yaml.safe_dump(given))
    config = load(folder / "mine.yaml", Config)
    window = window_of(config.days, config.sources, config.days.all_days(), None, NOW)
    return check_input(config.raw, config.sources, config.features, window)


def test_a_sound_configuration_has_no_fault_and_its_tables_are_described(lake):
    found = check(lake)
    assert found.faults == ()
    assert {name: str(look) for name, look in found.tables.items()} == {
        "impressions": "1 file, 3 rows",
        "user": "1 file, about 2 rows",
        "ad": "1 file, 2 rows",
    }
    assert found.identifiers == {"impression_id": "string", "user_id": "int64"}


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ('{"id": "d", "user": 4}', "there is no column `clk`, did you mean `click`?"),
        # A field that one record has is a column of all.
        ('{"id": "d", "clk": 1}', None),
        # What else is in it is not known.
        ('{"id": "d"', None),
        ("[1]", None),
    ],
)
def test_fields_of_json_are_known_where_all_records_are_read(lake, more, fault):
    rows = [{**dict(zip(LOG, row, strict=True)), "at": "2026-01-01"} for row in zip(*LOG.values(), strict=True)]
    for row in rows:
        row["click"] = row.pop("clk")
    (lake / "raw/log.json").write_text("\n".join([*map(json.dumps, rows), more]))
    found = check(lake, lambda given: given["sources"]["impressions"].update(path="log.json", format="json"))
    assert [fault in one for one in found.faults] == ([True] if fault else [])
    assert found.identifiers in ({"impression_id": "text", "user_id": "number"}, {})


@pytest.mark.parametrize("name", ["synthetic", "kuairand", "taobao"])
def test_the_shipped_configurations_name_what_they_map(name, tmp_path):
    """Their input is not here; all else is looked at."""
    config = load(ROOT / f"conf/{name}.yaml", Config, [f"input={tmp_path}"])
    window = window_of(config.days, config.sources, config.days.all_days(), None, datetime.now(UTC))
    faults = check_input(tmp_path, config.sources, config.features, window).faults
    assert faults
    assert all("does not exist" in fault for fault in faults)


def rename(section, key, sql):
    def change(given):
        given["sources"][section]["columns"][key] = sql

    return change


def entity(name, **changes):
    return lambda given: given["sources"]["entities"][name].update(changes)


def numeric(sql):
    return lambda given: given["features"]["numeric"].append({"name": "more", "sql": sql})


def by_day(given):
    given["sources"]["impressions"]["path"] = "log/{day}"


SLIPS = [
    (rename("impressions", "slot", "plce"), "'slot: plce': there is no column `plce`, did you mean `place`?"),
    (rename("impressions", "ts", "try_cast(att as timestamp)"), "there is no column `att`, did you mean `at`?"),
    (rename("impressions", "local_ts", "at"), "impressions map 'local_ts', a name the training table uses itself"),
    (
        entity("user", columns={"user_id": "uid", "age": "cast(ages as int)"}),
        "there is no column `ages`, did you mean `age`?; the columns there are the 2 of the first line",
    ),
    (entity("ad", columns={"campaign_id": "adx"}), "'campaign_id: adx': there is no column `adx`, did you mean `ad`?"),
    (entity("user", format="parquet"), "user: cannot read"),
    (entity("ad", path="adds"), "raw/adds does not exist"),
    (entity("ad", path="users.csv"), "is no Delta table"),
    (numeric("usr.age"), "the features: 'more: usr.age': there is no column `usr`, did you mean `user`?"),
    (numeric("user.aeg"), "user has no column `aeg`, did you mean `age`?; it maps age, user_id, age_s"),
    (by_day, "impressions of 2026-01-01: "),
    (
        lambda given: given["sources"].update(keyed_hash={"columns": ["user_id"], "key_env": "NO_SUCH_KEY"}),
        "the environment variable NO_SUCH_KEY holds no key",
    ),
    (
        lambda given: given["sources"]["impressions"].update(exclude=[{"name": "house", "where": "slott = 'x'"}]),
        "the exclusions of the impressions: 'house: slott = 'x'': there is no column `slott`, did you mean `slot`?",
    ),
    (
        lambda given: given["features"].update(history={"since": "2026-01-01", "keys": {"user": {"by": ["user_idd"]},
                                                        "all": []}}),
        "'history.keys.user: user_idd': there is no column `user_idd`, did you mean `user_id`?",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), SLIPS, ids=[message[:40] for _, message in SLIPS])
def test_a_slip_is_named_with_what_was_meant(lake, change, message):
    faults = check(lake, change).faults
    assert [fault for fault in faults if message in fault], faults


def test_all_that_is_wrong_is_told_at_once(lake):
    def several(given):
        for change, _ in SLIPS[:2]:
            change(given)
        (lake / "raw/users.csv").unlink()

    faults = check(lake, several).faults
    assert len(faults) == 3


def test_keys_of_types_that_never_meet_are_told(lake):
    days = pa.table({**LOG, "at": pa.array([0, 1, 2], pa.timestamp("us"))})
    pq.write_table(days, lake / "raw/log.parquet")
    faults = check(lake, rename("impressions", "user_id", "at")).faults
    assert faults == (
        "user: user_id is text, but timestamp[us] in the impressions, so no row would meet another; cast it in the "
        "mapping of one of them",
    )


def test_of_many_files_some_are_opened_and_the_rows_are_about_those_of_all(lake):
    (lake / "raw/log.parquet").unlink()
    (lake / "raw/log.parquet").mkdir()
    table = pa.table({**LOG, "at": ["2026-01-01"] * 3})
    for number in range(100):
        pq.write_table(table, lake / f"raw/log.parquet/{number:03}.parquet")
    found = check(lake)
    assert found.faults == ()
    assert str(found.tables["impressions"]) == "100 files, about 300 rows"
