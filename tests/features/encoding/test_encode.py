"""Vocabularies come from training days only and never renumber; numerics are finite or null."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from camoe.contracts.encoder import EMPTY, FIRST, MISSING, UNKNOWN, Encoder
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from camoe.score.encode import encode
from camoe.score.xxhash64 import spark_hash
from features.encoding.encode import apply, feature_values, fit_vocabularies
from features.encoding.profile import profile

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
        "targets": [{"name": "oof", "sql": "rate / 2"}],
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


@pytest.fixture(scope="module")
def counted(values):
    return profile(values, FEATURES).cache()


def test_vocabularies_are_fitted_on_training_days_by_count_then_value(counted):
    assert fit_vocabularies(counted, FEATURES, [TRAIN]) == {
        "plan": ["free", "paid"],
        "empty": [],
        "number": ["1", "3", "2"],
    }


def test_min_count_is_reached_over_all_days_and_runs_together(counted):
    assert fit_vocabularies(counted, FEATURES, [TEST])["plan"] == ["new"]
    assert fit_vocabularies(counted.union(counted.where("date = '2026-01-01'")), FEATURES, [TRAIN])["plan"] == [
        "free",
        "paid",
        "rare",
    ]


RAW = {"plan": pa.string(), "empty": pa.string(), "number": pa.string(), "plays": pa.float64(), "rate": pa.float64()}


def test_raw_values_are_encoded_without_spark_as_the_build_encodes_them(values, counted):
    encoder = EMPTY.grow(fit_vocabularies(counted, FEATURES, [TRAIN]))
    declared = (*FEATURES.categorical, *FEATURES.numerics)
    rows = [{item.name: row[item.column] for item in declared} for row in values.collect()]
    built = apply(values, encoder, FEATURES).select(*FEATURES.columns).collect()
    found = encode(pa.Table.from_pylist(rows, pa.schema(RAW)), FEATURES, encoder)
    assert found.select(FEATURES.columns).to_pylist() == [row.asDict() for row in built]


def test_null_is_missing_and_any_other_value_unknown(values, counted):
    encoder = EMPTY.grow(fit_vocabularies(counted, FEATURES, [TRAIN]))
    encoded = apply(values, encoder, FEATURES)
    assert dict(encoded.dtypes)["cat_plan"] == "int"
    rows = encoded.collect()
    assert [row.cat_plan for row in rows] == [3, 3, 2, 2, 2, UNKNOWN, UNKNOWN, UNKNOWN, MISSING]
    assert {row.cat_empty for row in rows} == {MISSING}


def test_a_refit_never_renumbers(values, counted):
    before = Encoder(3, {"plan": ("paid", "gone"), "empty": (), "number": ("9",)})
    after = before.grow(fit_vocabularies(counted, FEATURES, [TRAIN, TEST]))
    assert after.version == 4
    assert after.values["plan"] == ("paid", "gone", "free", "new")
    rows = apply(values, after, FEATURES).collect()
    assert [row.cat_plan for row in rows[:3]] == [2, 2, 4]


def test_numerics_are_raw_floats_and_null_unless_finite(values):
    assert dict(values.dtypes)["num_rate"] == "float"
    assert [row.num_rate for row in values.collect()] == [0.5, None, None, None, -2.0, None, 0.0, 0.0, 0.0]
    assert [row.target_oof for row in values.collect()] == [0.25, None, None, None, -1.0, None, 0.0, 0.0, 0.0]
    assert [row.num_plays for row in values.collect()][:3] == [1.0, 1.0, 2.0]


def test_a_feature_cannot_read_a_label_or_a_column_that_is_not_there(spark):
    joined = spark.createDataFrame([(1, 1)], "slot int, label_click int")
    leak = FeatureSet.model_validate({"numeric": [{"name": "leak", "sql": "label_click"}]})
    with pytest.raises(ConfigError, match=r"'num_leak: label_click'.*the columns there are slot$"):
        feature_values(joined, leak, ["slot"], ["label_click"])


HASHED = FeatureSet.model_validate(
    {
        "categorical": [
            {"name": "ad", "sql": "ad", "hashing": {"buckets": 1000}},
            {"name": "user", "sql": "user", "hashing": {"buckets": 7, "seeds": [-5]}},
        ]
    }
)
TEXTS = ("", "a", "jazz", "Ærøskøbing", "12345678", "exactly sixteen!", "a value of more than thirty-two bytes: " * 3)


def test_a_hashed_value_has_the_index_that_xxhash64_gives_it_on_any_machine(spark):
    values = spark.createDataFrame([(text, text) for text in TEXTS] + [(None, None)], "cat_ad string, cat_user string")
    encoded = apply(values.coalesce(1), EMPTY, HASHED)
    assert encoded.dtypes == [("cat_ad_1", "int"), ("cat_ad_2", "int"), ("cat_user_-5", "int")]
    assert [column for column, _ in encoded.dtypes] == list(HASHED.categorical_columns)
    expected = [
        (
            FIRST + spark_hash(1, text) % 1000,
            FIRST + spark_hash(2, text) % 1000,
            FIRST + spark_hash(-5, text) % 7,
        )
        for text in TEXTS
    ]
    assert [tuple(row) for row in encoded.collect()] == [*expected, (MISSING, MISSING, MISSING)]
    # Fixed for good: tables and models outlive the version of Spark that wrote them.
    assert expected[2] == (903, 553, 7)


def test_sizes_are_one_a_column(spark):
    features = FeatureSet(categorical=(*FEATURES.categorical, *HASHED.categorical))
    encoder = EMPTY.grow({"plan": ["free", "paid"], "empty": [], "number": ["1"]})
    assert encoder.column_sizes(features) == {
        "cat_plan": 4,
        "cat_empty": 2,
        "cat_number": 3,
        "cat_ad_1": 1002,
        "cat_ad_2": 1002,
        "cat_user_-5": 9,
    }
