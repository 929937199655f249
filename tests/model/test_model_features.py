"""A model may read some of its table's features: by name or pattern, over the same schema."""

from __future__ import annotations

import pytest

from camoe.config.model_features import ModelFeatures
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from camoe.model.spec import ModelSpec
from camoe.train.data.training_inputs import training_columns
from tests.model.specs import SPEC
from tests.score.pipeline import BY_GENRE
from tests.train.pipeline import CONFIG

FEATURES = FeatureSet.model_validate(
    {
        "categorical": [{"name": "genre", "sql": "g"}, {"name": "own_id", "sql": "u", "hashing": {"buckets": 9}}],
        "numeric": [{"name": "own_age", "sql": "a"}, {"name": "old", "sql": "features.own_age > 50"}],
        "sequence": [
            {"name": "recent", "sql": "r", "vocabulary": "genre", "max_length": 3},
            {"name": "seen", "sql": "s", "max_length": 2, "key": "user", "age": True},
        ],
        "history": {"since": "2026-01-01", "objectives": ["click"], "keys": {"all": [], "user": ["user_id"]}},
    }
)
ALL = ModelFeatures.of(FEATURES)


def names(features):
    return [item.name for item in features.declared]


def test_a_model_that_leaves_nothing_out_reads_what_the_table_has():
    assert names(ALL) == names(FEATURES)
    assert ALL.columns == FEATURES.columns
    assert ALL.schema_hash() == FEATURES.schema_hash()
    assert ALL.same_as(ModelFeatures.of(FEATURES, only=["*"]))


@pytest.mark.parametrize(
    ("only", "without", "left"),
    [
        (["genre", "old"], [], ["genre", "old"]),
        (None, ["own_*", "history.*", "seen"], ["genre", "old", "recent"]),
        (["own_*"], ["own_id"], ["own_age"]),
        (["history.*"], [], [item.name for item in FEATURES.history.features]),
        (["user_click_rate_*"], [], ["user_click_rate_all"]),
        (["seen"], [], ["seen"]),
    ],
)
def test_features_are_named_or_left_out_by_pattern(only, without, left):
    read = ModelFeatures.of(FEATURES, only, without)
    assert left
    assert names(read) == left
    assert read.schema_hash() == FEATURES.schema_hash()
    assert set(read.columns) < set(FEATURES.columns)
    assert [column for column in FEATURES.columns if column in read.columns] == list(read.columns)
    sizes = Encoder(1, {"genre": ("a", "b"), "seen": ("c",)}).column_sizes(read)
    assert list(sizes) == [column for column in FEATURES.embedded_columns if column in read.embedded_columns]
    assert not read.same_as(ALL)
    assert ModelFeatures.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize(
    ("only", "without", "message"),
    [
        (["genres"], [], "'genres' names no feature; did you mean 'genre'"),
        (None, ["ad_*"], r"'ad_\*' names no feature"),
        (["genre"], ["genre"], "no feature is left for the model to read"),
        (None, ["genre"], "sequence 'recent' shares the vocabulary and the embeddings of 'genre'; leave out both"),
    ],
)
def test_what_cannot_be_left_out_is_refused(only, without, message):
    with pytest.raises(ValueError, match=message.replace("'genre'; leave", "'genre', which is left out; leave")):
        ModelFeatures.of(FEATURES, only, without)


def test_a_spec_of_before_reads_all_and_what_shaped_its_training_only_is_passed_over():
    content = SPEC.model_dump(mode="json")
    del content["features"]["without"]
    content["model"]["gate_dropout"] = 0.1
    assert ModelSpec.model_validate(content) == SPEC


def written(folder, **training):
    path = folder / "pipeline.yaml"
    sections = {**CONFIG, "training": {**CONFIG["training"], **training}, "out": str(folder / "out")}
    path.write_text(str({**sections, "heads": BY_GENRE}))
    return path


def test_training_reads_no_column_of_what_is_left_out(tmp_path):
    assert "num_tenure" in training_columns(load(written(tmp_path), Config)).names
    config = load(written(tmp_path, without=["tenure"]), Config)
    assert "num_tenure" not in training_columns(config).names
    assert config.model_features.schema_hash() == config.features.schema_hash()


@pytest.mark.parametrize(
    ("without", "message"),
    [
        (["tenures"], r"training\.features, training\.without: 'tenures' names no feature; did you mean 'tenure'"),
        (["*"], r"training\.features, training\.without: no feature is left"),
        (["genre"], r"training leaves out 'genre', by which heads select rows"),
    ],
)
def test_the_configuration_says_what_is_wrong_with_it(tmp_path, without, message):
    with pytest.raises(ConfigError, match=message):
        load(written(tmp_path, without=without), Config)
