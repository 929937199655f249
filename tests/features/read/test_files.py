"""A run opens the folders of its own days, and says what lay there."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.sources import Sources
from features.join.entities import read_entities
from features.read.files import impression_paths, input_versions, outcome_paths, pinned
from features.read.raw import FOLDER_DAY, read_impressions, read_outcome_log, read_table
from tests.features import lake
from tests.features.read.days import DAY_S, day, sources, window

BY_DAY = {"path": "clicks/{day}.json"}


def write_days(folder, numbers, name="log/{}/part.json"):
    for number in numbers:
        row = {**lake.impressions()[0], "id": f"i{number}", "ts": f"{day(number)}T12:00:00"}
        lake.write(folder / name.format(day(number)), [row])


def test_only_the_days_of_the_run_and_those_that_may_hold_what_they_repeat_are_read(spark, tmp_path):
    write_days(tmp_path, range(5))
    (tmp_path / f"log/{day(1)}/part.json").write_bytes(b"\x00 not to be opened")
    rows = read_impressions(spark, tmp_path, sources(), window(0, 3)).collect()
    assert {row.impression_id: row[FOLDER_DAY] for row in rows} == {f"i{number}": day(number) for number in (0, 2, 3)}
    rows = read_impressions(spark, tmp_path, sources(impressions={"repeats_days": 0}), window(3)).collect()
    assert [row.impression_id for row in rows] == ["i3"]


@pytest.mark.parametrize(
    "path", ["log/{day}", "a b+%41é/{day}.json", "log/{day}/part-2026-01-01.json", "{day}/of={day}"]
)
def test_the_day_of_a_file_is_that_in_the_declared_place_of_its_path(spark, tmp_path, path):
    folder = tmp_path / "2026-01-01 (é+)" / ".." / "2026-01-01 (é+)"
    name = path.replace("{day}", "{0}") + ("" if path.endswith("json") else "/part.json")
    write_days(folder.resolve(), [0, 1], name)
    rows = read_impressions(spark, folder, sources(impressions={"path": path}), window(0, 1)).collect()
    assert {row.impression_id: row[FOLDER_DAY] for row in rows} == {"i0": day(0), "i1": day(1)}


def test_a_log_that_is_not_kept_by_day_says_no_day(spark, tmp_path):
    write_days(tmp_path, [0], "log/part-{}.json")
    rows = read_impressions(spark, tmp_path, sources(impressions={"path": "log"}), window(0)).collect()
    assert [row[FOLDER_DAY] for row in rows] == [None]


def test_a_missing_day_of_impressions_is_named(spark, tmp_path):
    write_days(tmp_path, [0, 2])
    with pytest.raises(InputError, match=r"impressions of 2026-03-29: \S*log/2026-03-29 does not exist"):
        impression_paths(spark, tmp_path, sources(), window(0, 1, 2))


def test_a_day_before_the_runs_is_looked_at_only_where_it_has_a_file(spark, tmp_path):
    write_days(tmp_path, [1])
    before = tmp_path / f"log/{day(0)}"
    assert impression_paths(spark, tmp_path, sources(), window(1)) == [tmp_path / f"log/{day(1)}"]
    before.mkdir()
    assert impression_paths(spark, tmp_path, sources(), window(1)) == [tmp_path / f"log/{day(1)}"]
    write_days(tmp_path, [0])
    assert impression_paths(spark, tmp_path, sources(), window(1)) == [tmp_path / f"log/{day(1)}", before]


@pytest.mark.parametrize(
    ("window_s", "built", "reached"),
    [
        (0, [0], [0]),
        (1, [0], [0, 1]),
        # The clocks go forward on day 1, so its 23 hours end before the window of its eve does.
        (DAY_S, [0], [0, 1, 2]),
        (DAY_S, [2], [2, 3]),
        (DAY_S + 1, [2], [2, 3, 4]),
        (60, [0, 1, 5], [0, 1, 2, 5, 6]),
    ],
)
def test_outcomes_are_read_of_every_day_that_a_window_reaches(window_s, built, reached):
    assert window(*built).reached(window_s) == tuple(day(number) for number in reached)


@pytest.mark.parametrize("name", ["impressions", "outcomes"])
def test_a_day_whose_folder_holds_no_file_is_named(spark, tmp_path, name):
    """Among days that have files it would read as a day on which nothing happened, so each label would be 0."""
    log = sources(outcomes={"path": "log/{day}", "columns": {"impression_id": "id", "objective": "slot", "ts": "ts"}})
    read = {
        "impressions": lambda: read_impressions(spark, tmp_path, log, window(0, 1)),
        "outcomes": lambda: read_outcome_log(spark, tmp_path, log, log.outcomes, window(0, 1)),
    }
    write_days(tmp_path, [0, 2])
    (tmp_path / f"log/{day(1)}").mkdir()
    # Spark passes over names that begin so.
    (tmp_path / f"log/{day(1)}/_SUCCESS").touch()
    with pytest.raises(InputError, match=rf"{name}: cannot read \S*log/{day(1)} as json: there is no file"):
        read[name]()
    write_days(tmp_path, [1])
    assert read[name]().count() > 1


def test_a_day_of_outcomes_may_be_missing_only_while_it_has_not_begun(spark, tmp_path):
    log = sources(DAY_S, outcomes=BY_DAY)
    write_days(tmp_path, [2], "clicks/{}.json")
    # Day 3 begins at 22:00 UTC of the day before.
    before = window(2, as_of=f"{day(2)}T21:59:59+00:00")
    assert outcome_paths(spark, tmp_path, log, before) == [tmp_path / f"clicks/{day(2)}.json"]
    with pytest.raises(InputError, match=rf"outcomes of {day(3)}: \S*clicks/{day(3)}\.json does not exist"):
        outcome_paths(spark, tmp_path, log, window(2, as_of=f"{day(2)}T22:00:00+00:00"))
    (tmp_path / f"clicks/{day(3)}.json").mkdir()
    assert len(outcome_paths(spark, tmp_path, log, before)) == 1
    (tmp_path / f"clicks/{day(3)}.json").rmdir()
    write_days(tmp_path, [3], "clicks/{}.json")
    assert len(outcome_paths(spark, tmp_path, log, before)) == 2


def test_versions_follow_the_files_of_the_run_and_the_version_of_a_delta_table(spark, tmp_path):
    log = sources(outcomes=BY_DAY, **{})
    settings = log.model_dump()
    settings["entities"]["user"].update(path="users", format="delta")
    log = Sources.model_validate(settings)
    write_days(tmp_path, range(3))
    write_days(tmp_path, range(3), "clicks/{}.json")
    lake.write(tmp_path / "campaigns.json", lake.campaigns())
    users = spark.createDataFrame([("u1",)], "user string")
    users.write.format("delta").save(str(tmp_path / "users"))

    def versions():
        return input_versions(spark, tmp_path, log, window(0, 1))

    first = versions()
    assert first.keys() == {"impressions", "outcomes", "user", "campaign"}
    assert first["user"] == "delta version 0"
    assert versions() == first
    os.utime(tmp_path / f"log/{day(2)}/part.json", ns=(1, 1))
    assert versions() == first
    os.utime(tmp_path / f"log/{day(1)}/part.json", ns=(1, 1))
    users.write.format("delta").mode("append").save(str(tmp_path / "users"))
    second = versions()
    assert {name for name in first if first[name] != second[name]} == {"impressions", "user"}
    write_days(tmp_path, [1], "log/{}/more.json")
    assert versions()["impressions"] not in {first["impressions"], second["impressions"]}


def test_the_version_of_a_delta_table_is_the_one_that_is_read(spark, tmp_path):
    log = sources(impressions={"path": "log"})
    write_days(tmp_path, [0], "log/part-{}.json")
    table, began = tmp_path / "users", datetime.now(UTC) - timedelta(days=3)
    for number in range(3):
        row = [(f"u{number}", "2026-01-01", "free", 1.0)]
        users = spark.createDataFrame(row, "user string, ts string, plan string, plays double")
        users.coalesce(1).write.format("delta").mode("append").save(str(table))
        made = (began + timedelta(days=number)).timestamp()
        os.utime(table / f"_delta_log/{number:020}.json", (made, made))
    user = log.entities["user"].model_copy(update={"path": "users", "format": "delta"})
    log = log.model_copy(update={"outcomes": None})
    for options, version in (
        ({"versionasof": "1"}, 1),
        ({"timestampAsOf": f"{began + timedelta(hours=36):%Y-%m-%d %H:%M:%S}"}, 1),
        ({"timestampasof": f"{began + timedelta(hours=23):%Y-%m-%d %H:%M:%S}"}, 0),
        ({}, 2),
    ):
        entity = user.model_copy(update={"options": options})
        read = log.model_copy(update={"entities": {"user": entity}})
        assert input_versions(spark, tmp_path, read, window(0))["user"] == f"delta version {version}"
        assert read_table(spark, tmp_path, "user", entity, None).count() == version + 1
    # What is appended while a run reads is none of its rows: they are those of the version in its record.
    versions = input_versions(spark, tmp_path, read, window(0))
    users.write.format("delta").mode("append").save(str(table))
    at_versions = pinned(read, versions)
    assert read_table(spark, tmp_path, "user", at_versions.entities["user"], None).count() == 3
    assert at_versions.impressions == read.impressions


@pytest.mark.parametrize("options", [{}, {"versionAsOf": "0"}, {"timestampAsOf": "2026-01-01"}])
def test_a_folder_that_is_no_delta_table_is_named(spark, tmp_path, options):
    write_days(tmp_path, [0])
    lake.write(tmp_path / "users/part.json", [{"id": "u"}])
    log = sources()
    entity = log.entities["user"].model_copy(update={"path": "users", "format": "delta", "options": options})
    read = log.model_copy(update={"entities": {"user": entity}, "outcomes": None})
    with pytest.raises(InputError, match=r"^user: \S+/users is no Delta table; correct input= or the path and format"):
        input_versions(spark, tmp_path, read, window(0))


def test_a_path_by_day_is_for_logs_of_files(tmp_path):
    with pytest.raises(ValueError, match="an entity's path is read whole"):
        sources(entities={"user": {**lake.config(tmp_path)["sources"]["entities"]["user"], "path": "users/{day}"}})
    with pytest.raises(ValueError, match="a Delta table is one folder"):
        sources(impressions={"format": "delta"})


def test_a_window_begins_at_midnight_of_its_zone():
    assert window(0).begins(day(2)) == datetime(2026, 3, 29, 22, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Date", "local_ts", "Run_Id", "label_click", "Label_Click"])
def test_names_that_the_table_uses_itself_are_refused_in_any_letters(tmp_path, name):
    """Before anything is read: Spark holds `Date` and `date` for one column, and would replace the mapped one."""
    mapped = sources()
    columns = {**mapped.impressions.columns, name: "ts"}
    impressions = mapped.impressions.model_copy(update={"columns": columns})
    with pytest.raises(ConfigError, match=f"impressions map '{name}', a name the training table uses itself"):
        read_impressions(None, tmp_path, mapped.model_copy(update={"impressions": impressions}), window(0))
    entities = {name: mapped.entities["user"]}
    with pytest.raises(ConfigError, match=f"entity '{name}' has a name the training table uses itself"):
        read_entities(None, tmp_path, mapped.model_copy(update={"entities": entities}), None)


def test_an_entity_named_as_an_impression_column_in_any_letters_is_refused(tmp_path):
    mapped = sources()
    mapped = mapped.model_copy(update={"entities": {"Slot": mapped.entities["user"]}})
    with pytest.raises(ConfigError, match="entity 'Slot' has the name of an impression column"):
        read_entities(None, tmp_path, mapped, None)
