"""What a run is: its days and as-of time, its name, and the settings that decide its rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from camoe.config.command_line import load_config, parse
from camoe.config.pipeline import Config
from camoe.contracts.errors import ConfigError
from camoe.contracts.runs import RunError, RunId, write_record
from features.plan import finished, new_run_id, window_of
from features.settings import settings_hash
from jobs.build_features import main, options, plan_of
from tests.features import lake


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("CAMOE_HASH_KEY", "OTHER_NAME"):
        monkeypatch.setenv(name, "0123456789abcdef")
    monkeypatch.setenv("OTHER_KEY", "fedcba9876543210")


def hash_of(tmp_path, change=lambda settings: None):
    settings = lake.config(tmp_path)
    settings["sources"]["keyed_hash"] = {"columns": ["user_id"]}
    change(settings)
    config = Config.model_validate(settings)
    return settings_hash(config.sources, config.features, config.days.zone)


def put(*path, value):
    def change(settings):
        for name in path[:-1]:
            settings = settings[name]
        settings[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("out", value="elsewhere"),
        put("input", value="elsewhere"),
        put("rows_per_file", value=7),
        put("training", value={"epochs": 9}),
        put("days", "test", value={"first": "2026-01-09", "last": "2026-01-09"}),
        put("days", "as_of", value="2026-03-01"),
        put("sources", "max_quarantined", value=0.5),
        put("sources", "impressions", "path", value="elsewhere"),
        put("sources", "entities", "user", "path", value="elsewhere"),
        put("sources", "entities", "user", "strategy", value="union"),
        put("sources", "keyed_hash", "key_env", value="OTHER_NAME"),
        put("features", "numeric", 0, "transform", value="log1p"),
        put("slots", "slots", 0, "name", value="Other"),
    ],
)
def test_what_does_not_decide_rows_leaves_the_settings_alone(tmp_path, change):
    assert hash_of(tmp_path, change) == hash_of(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        put("days", "zone", value="UTC"),
        put("sources", "impressions", "columns", "ts", value="ts + interval 1 hour"),
        put("sources", "impressions", "exclude", value=[]),
        put("sources", "impressions", "path", value="impressions/{day}"),
        put("sources", "outcomes", "columns", "ts", value="seen"),
        put("sources", "entities", "user", "lookback_s", value=60),
        put("sources", "entities", "user", "columns", "plan", value="upper(plan)"),
        put("sources", "objectives", "click", value={"window_s": 60}),
        put("sources", "keyed_hash", "columns", value=["user_id", "campaign_id"]),
        put("sources", "keyed_hash", "key_env", value="OTHER_KEY"),
        put("features", "numeric", 0, "sql", value="user.plays + 1"),
    ],
)
def test_what_decides_rows_changes_the_settings(tmp_path, change):
    assert hash_of(tmp_path, change) != hash_of(tmp_path)


def test_names_of_runs_are_safe_unique_and_in_the_order_of_time():
    earlier = [new_run_id(datetime(2026, 3, 8, 9, 59, 59, tzinfo=UTC)) for _ in range(20)]
    later = new_run_id(datetime(2026, 3, 8, 10, tzinfo=UTC))
    assert len(set(earlier)) == 20
    assert max(earlier) < later
    for name in (*earlier, later):
        TypeAdapter(RunId).validate_python(name)


def test_the_as_of_time_is_as_told_else_when_the_windows_of_the_last_day_have_closed(tmp_path):
    config = Config.model_validate(lake.config(tmp_path))
    asked = (date(2026, 1, 9), date(2026, 1, 2))

    def window(as_of, started=datetime(2026, 3, 1, tzinfo=UTC)):
        return window_of(config.days, config.sources, asked, as_of, started)

    assert window(None).days == (date(2026, 1, 2), date(2026, 1, 9))
    # The windows of 9 January close an hour after midnight in Stockholm.
    assert window(None).as_of == datetime(2026, 1, 10, 0, tzinfo=UTC)
    assert window(datetime(2026, 1, 5, 12)).as_of == datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert window(datetime(2026, 1, 5, 12, tzinfo=UTC)).as_of == datetime(2026, 1, 5, 12, tzinfo=UTC)
    # Until they have closed, what is known is what is known at the start.
    early = datetime(2026, 1, 9, 23, 59, tzinfo=UTC)
    assert window(None, early).as_of == early
    with pytest.raises(ConfigError, match="has not come yet"):
        window(datetime(2026, 1, 10), datetime(2026, 1, 9, 22, 59, tzinfo=UTC))
    assert window(datetime(2026, 1, 10), datetime(2026, 1, 9, 23, tzinfo=UTC)).as_of.hour == 23


def plan(tmp_path, *arguments, now=None):
    chosen = parse(options(), ["--config", str(lake.write_config(tmp_path, lake.config(tmp_path))), *arguments])
    made = plan_of(chosen, load_config(chosen))
    return made if now is None else replace(made, started=now, window=replace(made.window, as_of=now))


def test_a_retry_is_of_the_same_as_of_time_also_in_a_repeated_hour_and_when_none_was_told(tmp_path):
    # Stockholm's clocks show 02:30 twice on that day.
    told = ("--run-id", "r1", "--as-of", "2025-10-26T02:30")
    first = plan(tmp_path, *told)
    write_record(first.record({}), first.layout.runs)
    assert finished(plan(tmp_path, *told)) is None
    with pytest.raises(RunError, match="other as-of time"):
        finished(plan(tmp_path, "--run-id", "r1", "--as-of", "2025-10-26T02:30+01:00"))

    early = datetime(2026, 1, 4, 12, tzinfo=UTC)
    write_record(plan(tmp_path, "--run-id", "r1", now=early).record({}), first.layout.runs)
    assert finished(plan(tmp_path, "--run-id", "r1")) is None
    with pytest.raises(RunError, match="other as-of time"):
        finished(plan(tmp_path, "--run-id", "r1", "--as-of", "2026-01-04T11:00+00:00"))


def test_a_run_starts_after_those_that_it_builds_on_also_where_a_clock_was_set_back(tmp_path):
    """So that what it changes is seen to be newer than the days that rest on it."""
    made = plan(tmp_path)
    moments = [made.started + timedelta(hours=hours) for hours in (-1, 2)]
    earlier = [made.record({}).model_copy(update={"built": moment}) for moment in moments]
    assert made.after(earlier[:1]) == made.after([]) == made
    assert made.after(earlier).record({}).built > moments[1]


def test_what_is_missing_and_a_table_that_is_made_anew_do_not_go_together(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--missing", "--replace"])
    assert "--replace builds a table anew, and --missing keeps what is there" in capsys.readouterr().err
