"""Fields are checked when the configuration is read; those that are categorical features get their values' names."""

import pytest

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from camoe.contracts.runs import write_record
from camoe.contracts.snapshot import pin
from camoe.evaluation.scored import joined_fields
from camoe.evaluation.values import field_values
from tests.paths import ROOT
from tests.train.pipeline import VALUES, record, write_pipeline

FIELDS = "evaluation.fields=[{name: genre}, {name: campaign_id}, {name: user_seen}]"
ROWS = {"s0": 4, "s1": 4, "s2": 4}


def test_values_are_those_of_the_encoder_that_reads_every_row_of_the_table(tmp_path):
    path = write_pipeline(tmp_path, ROWS)
    config, version = load(path, Config, [FIELDS]), pin(tmp_path / "out/training").version
    values = field_values(config)
    assert values.of(version) == {"genre": VALUES}
    assert joined_fields(config.evaluation, values.fields) == ("cat_genre",)
    # A later run has grown the vocabulary; only when it has built a day of the table are its values there.
    encoders.append_version({"genre": (*VALUES, "z")}, config.layout.encoder)
    assert values.of(version) == {"genre": VALUES}
    write_record(record(config, ROWS).model_copy(update={"encoder_version": 2}), config.layout.runs)
    assert values.of(version) == {"genre": (*VALUES, "z")}


def test_without_such_fields_no_encoder_is_read(tmp_path):
    config = load(write_pipeline(tmp_path, ROWS), Config, ["evaluation.fields=[{name: cat_genre}]"])
    assert joined_fields(config.evaluation, config.categorical_fields) == ("cat_genre",)
    assert field_values(config).of(99) == {}


@pytest.mark.parametrize("name", ["advertiser", "cat_advertiser", "num_bid", "user_id", "user_seen", "campaign_id"])
def test_a_field_is_a_categorical_or_a_column(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    config = load("conf/synthetic.yaml", Config, [f"evaluation.fields=[{{name: {name}}}]"])
    assert config.categorical_fields == (("advertiser",) if name == "advertiser" else ())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("advertizer", r"'advertizer' is no column .* did you mean 'advertiser'\?"),
        ("bid", "'bid' is a number, which makes no groups"),
        ("viewed", "'viewed' is a sequence, which makes no groups"),
        (
            "device_id",
            "'device_id' is hashed, so its values have no names; declare cat_device_id_1 for its",
        ),
        ("seq_viewed", "'seq_viewed' is no column"),
        ("truth", "'truth' is a name that evaluation uses itself"),
    ],
)
def test_a_field_that_makes_no_groups_is_refused_with_the_reason(name, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    features = {
        "categorical": "[{name: advertiser, sql: a}, {name: device_id, sql: d, hashing: {buckets: 100}}]",
        "numeric": "[{name: bid, sql: b}]",
        "sequence": "[{name: viewed, sql: v, max_length: 5}]",
    }
    given = [f"features.{part}={text}" for part, text in features.items()]
    with pytest.raises(ConfigError, match=message):
        load("conf/synthetic.yaml", Config, [*given, f"evaluation.fields=[{{name: {name}}}]"])
