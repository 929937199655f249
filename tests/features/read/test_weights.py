"""Rows that stand for several impressions become as many rows."""

from __future__ import annotations

import pytest

from camoe.contracts.errors import ConfigError
from camoe.contracts.sources import Impressions, Sources
from features.impressions.checks import REASONS, check
from features.read.weights import WEIGHT, one_row_each
from tests.features.impressions.rows import GOOD, SCHEMA, SLOTS

COLUMNS = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
CASES = {
    "two of three": ("3", "2"),
    "none of two": ("2.0", "0"),
    "one": ("1", "1"),
    "not known": ("2", None),
    "too many": ("2", "3"),
    "half": ("2", "0.5"),
    "no weight": (None, "1"),
    "no whole weight": ("1.5", "1"),
    "zero": ("0", "0"),
    "boundless": ("1e9", "1"),
    "a word": ("many", "1"),
}


def log(*, aggregated):
    return Impressions(path="x", columns=COLUMNS, labels={"click": "clicks"}, weight="shows", aggregated=aggregated)


def rows_of(spark, declared):
    """(reasons, label) of each row that is made of a case, in the order of their ids."""
    given = [{**GOOD, "impression_id": name, WEIGHT: weight, "label_click": label}
             for name, (weight, label) in CASES.items()]  # fmt: skip
    frame = spark.createDataFrame(given, f"{SCHEMA}, {WEIGHT} string")
    checked = check(one_row_each(frame, declared), SLOTS, ["click"]).orderBy("impression_id").collect()
    found = {}
    for row in checked:
        name, _, number = row["impression_id"].rpartition("-")
        found.setdefault(name, []).append((row[REASONS], row["label_click"]))
        assert int(number) == len(found[name])
    return found


def test_an_aggregated_row_becomes_as_many_impressions_as_it_counts_of_which_so_many_have_the_label(spark):
    found = rows_of(spark, log(aggregated=True))
    assert {name: [label for _, label in found[name]] for name in ("two of three", "none of two", "one")} == {
        "two of three": [1, 1, 0], "none of two": [0, 0], "one": [1],
    }  # fmt: skip
    assert found["not known"] == [([], None)] * 2
    assert found["too many"] == found["half"] == [(["invalid_label"], None)] * 2
    for name in ("no weight", "no whole weight", "zero", "boundless", "a word"):
        assert [reasons[0] for reasons, _ in found[name]] == ["invalid_weight"]


def test_a_label_is_that_of_each_of_the_impressions_unless_it_counts_them(spark):
    found = rows_of(spark, log(aggregated=False))
    assert [label for _, label in found["one"]] == [1]
    assert [label for _, label in found["none of two"]] == [0, 0]
    assert found["two of three"] == [(["invalid_label"], None)] * 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"impressions": {"aggregated": True, "weight": None}}, "aggregated rows need a weight"),
        (
            {"outcomes": {"path": "y", "columns": {name: name for name in ("impression_id", "objective", "ts")}}},
            "a weight makes several rows of one id",
        ),
    ],
)
def test_a_weight_that_means_nothing_is_refused(changed, said):
    own = {"path": "x", "columns": COLUMNS, "labels": {"click": "clicks"}, "weight": "shows"}
    sources = {"impressions": own | changed.pop("impressions", {}), "objectives": {"click": {}}, **changed}
    with pytest.raises((ConfigError, ValueError), match=said):
        Sources.model_validate(sources)
