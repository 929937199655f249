"""What a history declares, and what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from camoe.contracts.features import FeatureSet

HISTORY = {
    "since": "2026-01-01",
    "objectives": ["click"],
    "windows": ["all", "7d"],
    "keys": {"all": [], "slot": ["slot"], "user": {"by": ["user_id"], "parent": "slot", "make": ["rates", "ages"]}},
}


def declared(numeric=(), **more):
    return FeatureSet.model_validate({"numeric": list(numeric), "history": {**HISTORY, **more}})


def test_a_block_of_a_few_lines_makes_numerics_with_their_transforms():
    features = declared()
    assert [(item.name, item.transform) for item in features.numerics] == [
        ("all_click_rate_all", "identity"),
        ("all_click_rate_7d", "identity"),
        ("slot_impressions_all", "log1p"),
        ("slot_impressions_7d", "log1p"),
        ("slot_click_rate_all", "identity"),
        ("slot_click_rate_7d", "identity"),
        ("slot_since_impression", "log1p"),
        ("slot_since_click", "log1p"),
        ("user_click_rate_all", "identity"),
        ("user_click_rate_7d", "identity"),
        ("user_since_impression", "log1p"),
        ("user_since_click", "log1p"),
    ]
    assert features.numeric_columns[0] == "num_all_click_rate_all"
    assert features.history.parents_first == ("all", "slot", "user")


def test_all_that_is_declared_is_part_of_what_the_table_is():
    one = declared()
    hashes = {one.schema_hash(), *(declared(**more).schema_hash() for more in ({"delay_s": 60}, {"smoothing": 5}))}
    assert len(hashes) == 3
    # When a leak is named changes no table.
    assert declared(leaks={"auc": 0.9}).schema_hash() == one.schema_hash()
    assert FeatureSet.model_validate(one.model_dump(mode="json")) == one


def test_numerics_come_after_the_features_that_they_name():
    given = [
        {"name": "twice", "sql": "features.above * 2"},
        {"name": "above", "sql": "features.user_click_rate_all - features.slot_click_rate_all"},
        {"name": "plain", "sql": "user.features_seen"},
    ]
    assert [item.name for item in declared(given).derived] == ["above", "twice"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"windows": ["all", "400d"]}, "the window 400d is longer than horizon_days=365"),
        ({"keys": {"user": ["user_id"]}}, "the rates of 'user' have no parent to be smoothed towards"),
        (
            {"keys": {"all": [], "user": {"by": ["user_id"], "parent": "slot"}}},
            "the parent 'slot' of 'user' is no key set",
        ),
        (
            {"keys": {"a": {"by": ["x"], "parent": "b"}, "b": {"by": ["y"], "parent": "a"}}},
            "key sets are parents in a circle: ",
        ),
        ({"objectives": ["click", "click"]}, "objectives must differ"),
        ({"numeric": [{"name": "slot_since_click", "sql": "1"}]}, "feature names must be unique"),
        ({"numeric": [{"name": "x", "sql": "features.y + 1"}]}, "numeric 'x' names features.y, which is no other"),
        (
            {"numeric": [{"name": "x", "sql": "features.y"}, {"name": "y", "sql": "features.x"}]},
            "numerics name each other in a circle: ",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(more, said):
    with pytest.raises(ValidationError, match=said):
        declared(**more)


SEEN = {"name": "seen", "sql": "campaign_id", "key": "user", "max_length": 20}


def sequences(*given):
    return FeatureSet.model_validate({"sequence": [{**SEEN, **one} for one in given], "history": HISTORY})


def test_a_sequence_from_the_log_is_one_line_and_may_have_ages():
    features = sequences({}, {"name": "clicked", "objective": "click", "within": "7d", "age": True})
    assert features.columns[-3:] == ("seq_seen", "seq_clicked", "seq_clicked_age")
    assert [column.ages for column in features.sequence_columns] == [None, "seq_clicked_age"]
    hashed = sequences({"age": True, "hashing": {"buckets": 10}})
    assert [(column.name, column.ages) for column in hashed.sequence_columns] == [
        ("seq_seen_1", "seq_seen_age"),
        ("seq_seen_2", "seq_seen_age"),
    ]
    assert len({sequences(one).schema_hash() for one in ({}, {"within": "7d"}, {"age": True}, {"key": "slot"})}) == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"key": None, "age": True}, "objective, within and age need a key"),
        ({"separator": ","}, "with a key, sql gives one value"),
        ({"keep": "first"}, "the last are kept"),
        ({"key": "campaign"}, "'campaign' is no key set of the history; "),
        ({"key": "all"}, "is that of all impressions"),
        ({"objective": "buy"}, "'buy' is no objective of the history"),
        ({"within": "400d"}, "longer than horizon_days=365"),
        ({"within": "30"}, "String should match pattern"),
    ],
)
def test_what_no_sequence_from_the_log_can_be_is_refused(more, said):
    with pytest.raises(ValidationError, match=said):
        sequences(more)
