"""What a run is: its days and as-of time, its name, and the settings that decide its rows."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pydantic import TypeAdapter

from camoe.config import Config
from camoe.contracts.runs import RunId
from features.plan import new_run_id, settings_hash, window_of
from tests.features import lake


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
        put("sources", "keyed_hash", "key_env", value="OTHER_KEY"),
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
        put("sources", "outcomes", "columns", "ts", value="seen"),
        put("sources", "entities", "user", "lookback_s", value=60),
        put("sources", "entities", "user", "columns", "plan", value="upper(plan)"),
        put("sources", "objectives", "click", value={"window_s": 60}),
        put("sources", "keyed_hash", "columns", value=["user_id", "campaign_id"]),
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

    def window(as_of):
        return window_of(config.days, config.sources, asked, as_of)

    assert window(None).days == (date(2026, 1, 2), date(2026, 1, 9))
    # The windows of 9 January close an hour after midnight in Stockholm.
    assert window(None).as_of == datetime(2026, 1, 10, 0, tzinfo=UTC)
    assert window(datetime(2026, 1, 5, 12)).as_of == datetime(2026, 1, 5, 11, tzinfo=UTC)
    assert window(datetime(2026, 1, 5, 12, tzinfo=UTC)).as_of == datetime(2026, 1, 5, 12, tzinfo=UTC)
