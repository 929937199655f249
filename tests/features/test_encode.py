"""Vocabularies come from training days only and never renumber; numerics are finite or null."""

from __future__ import annotations

from datetime import date

import pytest

from camoe.contracts.encoder import EMPTY, MISSING, UNKNOWN, Encoder
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from features.encode import apply, feature_values, fit

TRAIN = date(2026, 1, 1)
TEST = date(2026, 1, 2)
FEATURES = FeatureSet.model_validate(
    {
        "categorical": [
            {"name": "plan", "sql": "user.plan", "min_count": 2},
            {"name": "empty", "sql": "cast(null as int)"},
            {"name": "number", "sql": "user.plays"},
        ],
        "numeric": [{"name": "plays", "sql": "user.plays"}, {"name": "rate", "sql": "rate"}],
    }
)


@pytest.fixture(scope="module")
def values(spark):
    rows = [
        (TRAIN, ("paid", 1), 0.5, 1),
        (TRAIN, ("paid", 1), float("nan"), 1),
        (TRAIN, ("free", 2), float("inf"), 1),
        (TRAIN, ("free", 3), None, 1),
        (TRAIN, ("free", 3), -2.0, 1),
        (TRAIN, ("rare", None), 1e300, 1),
        (TEST, ("new", 4), 0.0, 1),
        (TEST, ("new", 4), 0.0, 1),
        (TEST, None, 0.0, 1),
    ]
    joined = spark.createDataFrame(rows, "date date, user struct<plan string, plays int>, rate double, label_click int")
    return feature_values(joined, FEATURES, ["date"], ["label_click"]).coalesce(1).cache()


def test_vocabularies_are_fitted_on_training_days_by_count_then_value(values):
    assert fit(values, FEATURES, [TRAIN]) == {"plan": ["free", "paid"], "empty": [], "number": ["1", "3", "2"]}


def test_null_is_missing_and_any_other_value_unknown(values):
    encoder = EMPTY.grow(fit(values, FEATURES, [TRAIN]))
    encoded = apply(values, encoder, FEATURES)
    assert dict(encoded.dtypes)["cat_plan"] == "int"
    rows = encoded.collect()
    assert [row.cat_plan for row in rows] == [3, 3, 2, 2, 2, UNKNOWN, UNKNOWN, UNKNOWN, MISSING]
    assert {row.cat_empty for row in rows} == {MISSING}


def test_a_refit_never_renumbers(values):
    before = Encoder(3, {"plan": ("paid", "gone"), "empty": (), "number": ("9",)})
    after = before.grow(fit(values, FEATURES, [TRAIN, TEST]))
    assert after.version == 4
    assert after.values["plan"] == ("paid", "gone", "free", "new")
    rows = apply(values, after, FEATURES).collect()
    assert [row.cat_plan for row in rows[:3]] == [2, 2, 4]


def test_numerics_are_raw_floats_and_null_unless_finite(values):
    assert dict(values.dtypes)["num_rate"] == "float"
    assert [row.num_rate for row in values.collect()] == [0.5, None, None, None, -2.0, None, 0.0, 0.0, 0.0]
    assert [row.num_plays for row in values.collect()][:3] == [1.0, 1.0, 2.0]


def test_a_feature_cannot_read_a_label_or_a_column_that_is_not_there(spark):
    joined = spark.createDataFrame([(1, 1)], "slot int, label_click int")
    leak = FeatureSet.model_validate({"numeric": [{"name": "leak", "sql": "label_click"}]})
    with pytest.raises(ConfigError, match=r"'num_leak: label_click'.*the columns there are slot$"):
        feature_values(joined, leak, ["slot"], ["label_click"])
