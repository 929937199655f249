"""A bundle's configuration can be read back, and tells no passwords."""

from __future__ import annotations

from camoe.bundle.settings import CONFIG, write_settings
from camoe.config.pipeline import Config
from tests.train import pipeline


def config_of(**training):
    return Config.model_validate({**pipeline.CONFIG, "out": "out/x", "training": training})


def test_what_is_written_is_the_configuration(tmp_path):
    config = config_of(negatives={"audio": 0.1}, table="s3://lake/training", warm_start="out/before/bundle")
    write_settings(tmp_path, config)
    assert Config.model_validate_json((tmp_path / CONFIG).read_bytes()) == config


def test_credentials_in_an_address_are_left_out(tmp_path):
    tracking = {"uri": "https://ann:secret@mlflow.example:5000/a@b", "experiment": "ads"}
    write_settings(tmp_path, config_of(tracking=tracking))
    text = (tmp_path / CONFIG).read_text()
    assert '"uri": "https://mlflow.example:5000/a@b"' in text
    assert "secret" not in text
