"""Columns added to built days: those of a build from nothing, and beside them nothing changes."""

from __future__ import annotations

import json
from datetime import date

import pytest

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import load
from camoe.contracts.errors import SnapshotError
from camoe.contracts.runs import active_records, active_runs, stale_days
from camoe.contracts.snapshot import pin
from camoe.score.frames import read_days
from camoe.train.data.training_inputs import open_training_inputs
from features.tables.side import days_of_runs
from jobs.add_columns import main
from tests.features import lake
from tests.jobs.in_process import run_main

DAYS = tuple(date.fromisoformat(text) for text in lake.DAYS)
# Of the table alone, of an entity, of the log; with a vocabulary, hashed, of others, changed.
NAMES = ("part_of_day", "level", "device", "user", "above", "plans", "age", "target_soft")


def more(settings):
    """Declare more features, and one otherwise, with what they need of the log and of an entity."""
    sources, features = settings["sources"], settings["features"]
    sources["impressions"]["columns"]["device"] = "concat('d', length(id))"
    sources["entities"]["user"]["columns"]["level"] = "plays * 2"
    features["categorical"] += [
        {"name": "part_of_day", "sql": "hour(local_ts) div 6"},
        {"name": "device", "sql": "device"},
        {"name": "user", "sql": "user_id", "hashing": {"buckets": 5}},
    ]
    features["numeric"] += [
        {"name": "level", "sql": "user.level"},
        {"name": "above", "sql": "features.level - features.plays"},
    ]
    features["numeric"][1]["sql"] = "user.age_s / 60"
    features["sequence"] = [{"name": "plans", "sql": "array(user.plan)", "vocabulary": "plan", "max_length": 2}]
    features["targets"].append({"name": "soft", "sql": "user.plays / 20.0"})
    return settings


def add(config, *arguments):
    return run_main(main, config, *arguments)


def rows(spark, layout, names=None):
    """The table's rows by impression, with the columns `names` (default: all) but their run."""
    found = spark.read.format("delta").load(str(layout.training)).drop("run_id")
    found = found if names is None else found.select(*names)
    return {row["impression_id"]: row.asDict() for row in found.collect()}


@pytest.fixture(scope="module")
def whole(spark, tmp_path_factory):
    """All days, built from nothing with all features."""
    folder = tmp_path_factory.mktemp("whole")
    lake.write_lake(folder)
    assert lake.run_job(lake.write_config(folder, more(lake.config(folder)))) == 0
    return lake.Lake(folder, folder / "config.yaml")


@pytest.fixture(scope="module")
def built(clean_build, tmp_path_factory):
    """All days, built with the features of before; the configuration declares all of them."""
    folder = tmp_path_factory.mktemp("built")
    lake.copy_of(clean_build, folder)
    return lake.Lake(folder, lake.write_config(folder, more(lake.config(folder))))


def test_other_features_are_refused_with_what_adds_them(built, capfd):
    assert lake.run_job(built.config, "--days", lake.DAYS[0]) == 2
    said = capfd.readouterr().err
    assert "other features (part_of_day, device, user, age, level, above, plans, target_soft), which " in said
    assert "jobs/add_columns.py --columns part_of_day,device" in said
    assert add(built.config, "--columns", "nothing") == 2
    assert "--columns names 'nothing', which the features file does not declare" in capfd.readouterr().err


def test_columns_are_those_of_a_build_from_nothing_and_all_others_stay(spark, built, whole, capfd):
    layout, before = built.layout, rows(spark, built.layout)
    with pytest.raises(SnapshotError, match=f"lacks features as they are declared: .* on {DAYS[0]}"):
        open_training_inputs(load(built.config, Config))
    assert add(built.config, "--columns", "hour", "--days", f"{lake.DAYS[3]},2026-01-09") == 2
    assert "2026-01-09 of" in capfd.readouterr().err

    first = f"{lake.DAYS[0]}..{lake.DAYS[1]}"
    assert add(built.config, "--columns", ",".join(NAMES), "--days", first, "--run-id", "training-days") == 0
    said = capfd.readouterr().out
    assert "read        impressions" in said
    assert "stale       no days" in said
    assert add(built.config, "--columns", ",".join(NAMES), "--missing", "--run-id", "others") == 0
    assert f"others, days {lake.DAYS[2]}..{lake.DAYS[3]}" in capfd.readouterr().out
    assert add(built.config, "--columns", ",".join(NAMES), "--missing") == 0
    assert "nothing to do" in capfd.readouterr().out
    assert add(built.config, "--columns", ",".join(NAMES), "--days", first, "--run-id", "training-days") == 0
    assert "has added its columns already" in capfd.readouterr().out

    assert rows(spark, layout) == rows(spark, whole.layout)
    kept = [name for name in before["i0-0"] if name != "num_age"]
    assert rows(spark, layout, kept) == {name: {one: row[one] for one in kept} for name, row in before.items()}
    assert lake.counts(whole.folder)["content_hash"] == {
        **told(built)["content_hash"],
        **{day: of for day, of in lake.counts(whole.folder)["content_hash"].items() if day in lake.DAYS[:2]},
    }
    written = {day.isoformat(): "training-days" if day in DAYS[:2] else "others" for day in DAYS}
    assert {day.isoformat(): run for day, run in active_runs(pin(layout.training)).items()} == written


def told(lake_):
    return json.loads((lake_.folder / "out/counts.json").read_text())["add_columns"]


def test_what_is_known_of_the_days_is_what_both_runs_knew(spark, built, whole):
    layout = built.layout
    records = active_records(pin(layout.training), layout.runs)
    assert stale_days(records) == {}
    theirs = active_records(pin(whole.layout.training), whole.layout.runs)
    for day, one in records.items():
        assert one.definitions(day) == theirs[day].definitions(day)
        assert one.labels["click"][day] == theirs[day].labels["click"][day]
        assert one.labelled_as_of(day) == theirs[day].labelled_as_of(day)
    assert encoders.read(layout.encoder).values == encoders.read(whole.layout.encoder).values
    inputs, others = (open_training_inputs(load(one.config, Config)) for one in (built, whole))
    assert inputs.encoder.values == others.encoder.values
    # Rows of the first run, whose columns and rejected rows stand, and of those that added to it.
    assert days_of_runs(layout.profiles) == {
        (day, run) for day in DAYS for run in ("first", "training-days" if day in DAYS[:2] else "others")
    }
    assert all(run == "first" for _, run in days_of_runs(layout.quarantine))


def test_a_day_is_built_as_a_whole_again_and_a_model_may_read_what_all_days_have(spark, built, whole):
    layout = built.layout
    again = ("--days", lake.DAYS[2], "--as-of", "2026-01-05T00:00:00+00:00")
    assert lake.run_job(built.config, *again, "--run-id", "whole-again") == 0
    assert rows(spark, layout) == rows(spark, whole.layout)
    assert (
        lake.counts(built.folder)["content_hash"][lake.DAYS[2]]
        == (lake.counts(whole.folder)["content_hash"][lake.DAYS[2]])
    )
    # A run of the features of before builds its day without the others.
    (built.folder / "before").mkdir()
    before = lake.write_config(built.folder / "before", lake.config(built.folder))
    assert lake.run_job(before, "--days", lake.DAYS[2], "--run-id", "without") == 2
    settings = lake.config(built.folder)
    settings["features"]["numeric"][1]["sql"] = "user.age_s / 60"
    before = lake.write_config(built.folder / "before", settings)
    assert lake.run_job(before, "--days", lake.DAYS[2], "--run-id", "without") == 0
    assert {row["num_level"] for row in rows(spark, layout).values() if row["date"] == DAYS[2]} == {None}
    with pytest.raises(SnapshotError, match=rf"plans on {DAYS[2]}; .*add_columns.py --days {DAYS[2]} --columns "):
        open_training_inputs(load(built.config, Config))
    open_training_inputs(load(before, Config))
    some = {"without": [name for name in NAMES if name not in ("age", "target_soft")]}
    open_training_inputs(load(built.config, Config, [f"training.without={json.dumps(some['without'])}"]))
    table = read_days(str(layout.training), DAYS)
    assert table["num_level"].null_count > table["num_plays"].null_count


def test_impressions_that_the_log_has_lost_are_told_of(built, capfd, tmp_path):
    lost = lake.Lake(tmp_path, lake.copy_of(built.folder, tmp_path).config)
    lake.write_config(tmp_path, more(lake.config(tmp_path)))
    lake.write(tmp_path / "raw/impressions.json", lake.impressions()[2:])
    version = pin(lost.layout.training).version
    assert add(lost.config, "--columns", "device", "--days", lake.DAYS[0]) == 2
    assert (
        "the log no longer has 2 of 30 impressions of the table, the first on 2026-01-01 in slot "
        in capfd.readouterr().err
    )
    assert pin(lost.layout.training).version == version
    # What rests on the table's own columns, and on entities, does not need it.
    assert add(lost.config, "--columns", "part_of_day,level", "--days", lake.DAYS[0]) == 0
    assert "read        user" in capfd.readouterr().out


def test_a_name_of_a_run_is_for_the_same_columns(built, capfd):
    first = f"{lake.DAYS[0]}..{lake.DAYS[1]}"
    assert add(built.config, "--columns", "level", "--days", first, "--run-id", "training-days") == 2
    assert "run training-days was for other columns (above, age, device, " in capfd.readouterr().err
