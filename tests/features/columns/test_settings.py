"""Which settings a table may meet again, and which history is used on when features are added."""

from __future__ import annotations

from pathlib import Path

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.layout import Layout
from features.columns.narrow import narrowed, narrowed_sources
from features.settings import history_folder, settings_hash, settings_parts
from tests.features import lake

HISTORY = {"since": lake.DAYS[0], "objectives": ["click"], "keys": {"all": [], "advertiser": ["campaign.advertiser"]}}


def config(change=lambda settings: None):
    settings = lake.config(Path("/none"))
    settings["features"]["history"] = HISTORY
    change(settings)
    return Config.model_validate(settings)


def mapped(table, name, sql):
    def change(settings):
        sources = settings["sources"]
        found = sources["entities"][table] if table in sources["entities"] else sources[table]
        found["columns"][name] = sql

    return change


def window(settings):
    settings["sources"]["objectives"]["click"]["window_s"] = 60


def lookback(settings):
    settings["sources"]["entities"]["user"]["lookback_s"] = 60


def more(settings):
    settings["features"]["numeric"].append({"name": "more", "sql": "user.plays * 2"})
    settings["features"]["history"] = {**HISTORY, "smoothing": 5, "leaks": {"auc": 0.9}}


def another_key(settings):
    settings["features"]["history"] = {**HISTORY, "keys": {**HISTORY["keys"], "user": ["user_id"]}}


@pytest.mark.parametrize(
    ("change", "parts", "recounted"),
    [
        (mapped("user", "country", "country"), {"user.country"}, False),
        (mapped("user", "plays", "plays + 1"), {"user.plays"}, False),
        (mapped("campaign", "advertiser", "lower(advertiser)"), {"campaign.advertiser"}, True),
        (mapped("impressions", "device", "device"), {"impressions.device"}, True),
        (mapped("impressions", "ts", "ts + interval 1 hour"), {"rows"}, True),
        (window, {"rows"}, True),
        (lookback, {"user"}, False),
        (more, set(), False),
        (another_key, set(), True),
    ],
)
def test_a_setting_is_a_part_of_its_own_and_the_history_rests_on_what_its_keys_see(change, parts, recounted):
    before, after = config(), config(change)
    found = [settings_parts(one.sources, one.days.zone) for one in (before, after)]
    assert {name for name in found[0] | found[1] if found[0].get(name) != found[1].get(name)} == parts
    folders = {history_folder(Layout(Path("/none")), one.sources, one.features, "UTC") for one in (before, after)}
    assert len(folders) == 1 + recounted


def test_a_history_that_was_named_by_all_settings_is_used_on(tmp_path):
    one, layout = config(), Layout(tmp_path)
    own = history_folder(layout, one.sources, one.features, "UTC")
    before = layout.history / settings_hash(one.sources, one.features, "UTC")
    before.mkdir(parents=True)
    assert history_folder(layout, one.sources, one.features, "UTC") == before
    own.mkdir()
    assert history_folder(layout, one.sources, one.features, "UTC") == own


def test_what_is_read_for_features_is_what_they_name():
    def change(settings):
        settings["features"]["numeric"].append({"name": "above", "sql": "features.plays - features.age"})
        settings["features"]["sequence"] = [
            {"name": "plans", "sql": "split(user.plan, '')", "vocabulary": "advertiser", "max_length": 2},
        ]

    full = config(change)

    def read(*names):
        features = narrowed(full.features, names)
        return {item.name for item in features.declared}, set(narrowed_sources(full.sources, features).entities)

    past = {item.name for item in full.features.history.features}
    assert read("hour") == ({"hour"}, set())
    assert read("above") == ({"above", "plays", "age"}, {"user"})
    # Of the categorical its vocabulary alone is needed.
    assert read("plans") == ({"plans", "advertiser"}, {"user"})
    assert read("advertiser_impressions_all") == (past, {"campaign"})
    assert read("target_oof") == ({"nothing"}, {"user"})
