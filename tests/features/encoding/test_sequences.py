"""Sequences: cut to their length, encoded as categoricals are, fitted on what is kept of the training days."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from camoe.contracts.encoder import EMPTY, FIRST, UNKNOWN, Encoder
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from camoe.score.encode import encode
from camoe.score.xxhash64 import spark_hash
from features.encoding.encode import apply, feature_values, fit_vocabularies
from features.encoding.profile import profile

DAY = date(2026, 1, 1)
FEATURES = FeatureSet.model_validate(
    {
        "categorical": [
            {"name": "genre", "sql": "genre"},
            {"name": "ad", "sql": "genre", "hashing": {"buckets": 50, "seeds": [3, 4]}},
        ],
        "sequence": [
            {"name": "recent", "sql": "user.recent", "vocabulary": "genre", "max_length": 3},
            {"name": "first", "sql": "user.recent", "min_count": 2, "max_length": 2, "keep": "first"},
            {"name": "cut", "sql": "cut", "separator": ".", "vocabulary": "ad", "max_length": 4},
            {"name": "own", "sql": "ids", "hashing": {"buckets": 9, "seeds": [-1]}, "max_length": 2},
        ],
    }
)
SCHEMA = "date date, genre string, user struct<recent array<string>>, cut string, ids array<int>"
VOCABULARY = {"genre": ("jazz", "rock"), "first": ("rock",)}
words = st.none() | st.sampled_from(["jazz", "rock", "pop", ""])
texts = st.none() | st.text(alphabet="ab.", max_size=9)
rows = st.tuples(
    st.just(DAY),
    words,
    st.none() | st.tuples(st.none() | st.lists(words, max_size=6)),
    texts,
    st.none() | st.lists(st.none() | st.integers(-3, 300), max_size=4),
)


def kept(elements, length, keep):
    known = [one for one in elements or [] if one is not None]
    return known[:length] if keep == "first" else known[max(len(known) - length, 0) :]


def elements(row):
    """What is kept of each sequence of a row."""
    _, _, user, cut, ids = row
    recent = user[0] if user else None
    return {
        "recent": kept(recent, 3, "last"),
        "first": kept(recent, 2, "first"),
        "cut": kept([part or None for part in (cut or "").split(".")], 4, "last"),
        "own": kept([None if one is None else str(one) for one in ids or []], 2, "last"),
    }


def expected(row):
    def known(feature, values):
        places = {value: FIRST + place for place, value in enumerate(VOCABULARY[feature])}
        return [places.get(value, UNKNOWN) for value in values]

    def hashed(seed, buckets, values):
        return [FIRST + spark_hash(seed, value) % buckets for value in values]

    has = elements(row)
    return {
        "seq_recent": known("genre", has["recent"]),
        "seq_first": known("first", has["first"]),
        "seq_cut_3": hashed(3, 50, has["cut"]),
        "seq_cut_4": hashed(4, 50, has["cut"]),
        "seq_own_-1": hashed(-1, 9, has["own"]),
    }


def encoded_without_spark(given_rows):
    _, genre, user, cut, ids = zip(*given_rows, strict=True) if given_rows else [()] * 5
    recent = pa.array([one and one[0] for one in user], pa.list_(pa.string()))
    genre, cut = (pa.array(texts, pa.string()) for texts in (genre, cut))
    raw = {"genre": genre, "ad": genre, "recent": recent, "first": recent, "cut": cut}
    table = pa.table({**raw, "own": pa.array(ids, pa.list_(pa.int32()))})
    made = encode(table, FEATURES, Encoder(1, VOCABULARY))
    return made.select([column.name for column in FEATURES.sequence_columns]).to_pylist()


# Few examples of many rows, since each is a job of Spark.
@settings(max_examples=2, deadline=None)
@given(st.lists(rows, min_size=20, max_size=60))
@example([])
def test_sequences_are_what_a_loop_over_the_rows_makes_of_them(spark, given_rows):
    joined = spark.createDataFrame(given_rows, SCHEMA).coalesce(1)
    values = feature_values(joined, FEATURES, ["date"], [])
    encoded = apply(values, Encoder(1, VOCABULARY), FEATURES).select(*FEATURES.columns)
    assert {kind for name, kind in encoded.dtypes if name.startswith("seq_")} == {"array<int>"}
    sequences = [column.name for column in FEATURES.sequence_columns]
    found = [row.asDict() for row in encoded.select(*sequences).collect()]
    assert found == [expected(row) for row in given_rows]
    assert encoded_without_spark(given_rows) == [expected(row) for row in given_rows]
    counted = Counter()
    for row in given_rows:
        for name, own in elements(row).items():
            cells = {"cut": 64, "own": 64}
            for value in own or [None]:
                hashed = name in cells and value is not None
                counted[name, str(spark_hash(0, value) % 64) if hashed else value] += 1
    profiled = profile(values, FEATURES).where("feature in ('recent', 'first', 'cut', 'own')").collect()
    assert {(row.feature, row.value): row.rows for row in profiled} == counted


def test_a_sequence_without_a_vocabulary_to_share_is_fitted_on_what_it_keeps(spark):
    given_rows = [(DAY, "jazz", (recent,), None, None) for recent in (["a", "b", "c"], ["b", "a", "c"], ["d", "b"])]
    values = feature_values(spark.createDataFrame(given_rows, SCHEMA), FEATURES, ["date"], [])
    fitted = fit_vocabularies(profile(values, FEATURES), FEATURES, [DAY])
    assert fitted == {"genre": ["jazz"], "first": ["b", "a"]}
    assert EMPTY.grow(fitted).column_sizes(FEATURES) == {
        "cat_genre": 3,
        "cat_ad_3": 52,
        "cat_ad_4": 52,
        "seq_first": 4,
        "seq_own_-1": 11,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sql": "genre"}, r"sequence 'x: genre' is string; it must be an array of plain values, or text with"),
        ({"sql": "array(array(1))"}, r"is array<array<int>>; it must be an array of plain values"),
        ({"sql": "user.recent", "separator": ","}, r"is array<string>; it must be text to cut"),
        ({"sql": "label_click"}, r"'seq_x: label_click'.*there is no column"),
    ],
)
def test_what_is_no_sequence_is_refused(spark, change, message):
    features = FeatureSet.model_validate({"sequence": [{"name": "x", "max_length": 2, **change}]})
    joined = spark.createDataFrame([], f"{SCHEMA}, label_click int")
    with pytest.raises(ConfigError, match=message):
        feature_values(joined, features, ["date"], ["label_click"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": "nothing"}, "sequence 'x': 'nothing' is no categorical feature to share with"),
        ({"vocabulary": "genre", "min_count": 2}, "the elements have the indices of 'genre'; leave out min_count"),
        ({"hashing": {"buckets": 9}, "min_count": 2}, "min_count has no meaning with hashing"),
        ({"name": "genre"}, "feature names must be unique"),
        ({"name": "own_-1"}, "two features make the column seq_own_-1"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(change, message):
    own = {"name": "own", "sql": "x", "max_length": 2, "hashing": {"buckets": 9, "seeds": [-1]}}
    declared = {"name": "x", "sql": "x", "max_length": 2, **change}
    with pytest.raises(ValueError, match=message):
        FeatureSet.model_validate({"categorical": [{"name": "genre", "sql": "g"}], "sequence": [own, declared]})


def test_the_schema_hash_tells_what_shapes_the_column_and_no_more():
    def hash_of(**change):
        declared = {"name": "x", "sql": "x", "max_length": 2, **change}
        return FeatureSet.model_validate({"numeric": [{"name": "n", "sql": "n"}], "sequence": [declared]}).schema_hash()

    shaping = [{"max_length": 3}, {"keep": "first"}, {"separator": ","}, {"hashing": {"buckets": 4}}, {"sql": "y"}]
    assert len({hash_of(), *(hash_of(**change) for change in shaping)}) == 1 + len(shaping)
    assert hash_of() == hash_of(pooling="sum") == hash_of(min_count=5)
