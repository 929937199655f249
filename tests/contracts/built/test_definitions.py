"""What a column of the training table is made of, told by a hash: it changes with all that decides its values alone."""

from __future__ import annotations

import copy

import pytest

from camoe.config.model_features import ModelFeatures
from camoe.contracts.built.definitions import columns_of, definitions, read_definitions
from camoe.contracts.features import FeatureSet

DECLARED = {
    "categorical": [
        {"name": "genre", "sql": "user.genre", "min_count": 2},
        {"name": "artist", "sql": "artist", "hashing": {"buckets": 10}},
    ],
    "numeric": [
        {"name": "plays", "sql": "user.plays"},
        {"name": "above", "sql": "features.plays - features.user_click_rate_all"},
        {"name": "twice", "sql": "2 * features.above"},
    ],
    "sequence": [
        {"name": "recent", "sql": "user.recent", "vocabulary": "artist", "max_length": 5},
        {"name": "seen", "sql": "campaign_id", "key": "user", "max_length": 5, "age": True},
    ],
    "history": {
        "since": "2026-01-01",
        "objectives": ["click"],
        "windows": ["all", "7d"],
        "keys": {"all": [], "user": ["user_id"], "slot": ["slot"]},
    },
    "targets": [{"name": "soft", "sql": "user.plays / 2"}],
}
EVERY = set(definitions(FeatureSet.model_validate(DECLARED)))
PAST = {name for name in EVERY if name.startswith(("all_", "user_", "slot_"))}
RATES = {name for name in PAST if "_rate_" in name}


def changed(*path, to):
    """The features whose definitions another value at `path` changes."""
    other = copy.deepcopy(DECLARED)
    of = other
    for step in path[:-1]:
        of = of[step]
    of[path[-1]] = to
    before, after = (definitions(FeatureSet.model_validate(one)) for one in (DECLARED, other))
    return {name for name in before if after.get(name) != before[name]}


@pytest.mark.parametrize(
    ("path", "to", "expected"),
    [
        (("categorical", 0, "sql"), "user.kind", {"genre"}),
        (("categorical", 0, "min_count"), 9, set()),
        (("categorical", 1, "hashing"), {"buckets": 11}, {"artist", "recent"}),
        (("numeric", 0, "sql"), "user.plays + 1", {"plays", "above", "twice"}),
        (("numeric", 0, "transform"), "log1p", set()),
        (("sequence", 0, "max_length"), 6, {"recent"}),
        (("sequence", 0, "pooling"), "attention", set()),
        (("sequence", 1, "within"), "7d", {"seen"}),
        (("history", "keys", "slot"), ["slot", "user_id"], {name for name in PAST if name.startswith("slot_")}),
        (("history", "keys", "all"), {"by": [], "make": ["rates"]}, set()),
        (("history", "delay_s"), 60, {*PAST, "seen", "above", "twice"}),
        (("history", "smoothing"), 5, {*RATES, "above", "twice"}),
        (("history", "leaks"), {"auc": 0.9}, set()),
        (("targets", 0, "sql"), "user.plays / 3", {"target_soft"}),
    ],
)
def test_a_definition_changes_with_what_decides_the_values(path, to, expected):
    assert changed(*path, to=to) == expected


def test_more_features_and_another_order_change_none():
    other = copy.deepcopy(DECLARED)
    other["numeric"].append({"name": "new", "sql": "1"})
    other["numeric"].reverse()
    other["history"]["keys"]["genre"] = ["user.genre"]
    before, after = (definitions(FeatureSet.model_validate(one)) for one in (DECLARED, other))
    assert before.items() <= after.items()
    assert after.keys() - before.keys() >= {"new", "genre_impressions_all"}


def test_what_a_model_leaves_out_is_not_asked_for():
    features = FeatureSet.model_validate(DECLARED)
    model = ModelFeatures.of(features, without=["recent", "history.*"])
    assert read_definitions(model).keys() == {"genre", "artist", "plays", "above", "twice", "seen"}
    assert definitions(model) == definitions(features)


def test_each_feature_has_its_columns():
    features = FeatureSet.model_validate(DECLARED)
    assert columns_of(features, "artist") == ("cat_artist_1", "cat_artist_2")
    assert columns_of(features, "seen") == ("seq_seen", "seq_seen_age")
    assert columns_of(features, "user_click_rate_all") == ("num_user_click_rate_all",)
    assert columns_of(features, "target_soft") == ("target_soft",)
    told = {column for name in EVERY for column in columns_of(features, name)}
    assert told == {*features.columns, "target_soft"}
