"""Paths in the configuration: addresses of other places are refused before anything is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from tests.paths import ROOT

SYNTHETIC = ROOT / "conf/synthetic.yaml"


@pytest.mark.parametrize("key", ["out", "lake", "input", "training.warm_start"])
@pytest.mark.parametrize("address", ["s3://user:secret@bucket/mine", "hdfs://host/mine", "s3a:/bucket", "gs://b"])
def test_an_address_is_no_folder_of_that_name(key, address):
    with pytest.raises(ConfigError, match="is no place for it: give a local path") as refused:
        load(SYNTHETIC, Config, ["out=here", f"{key}={address}"])
    assert key in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_table_of_a_source_has_a_local_path():
    with pytest.raises(ConfigError, match=r"sources\.impressions\.path.*s3:// is no place for it"):
        load(SYNTHETIC, Config, ["out=here", "sources.impressions.path=s3://bucket/log"])


@pytest.mark.parametrize(
    ("written", "meant"), [("file:///a/b", "/a/b"), ("file:/a", "/a"), ("a:b/c", "a:b/c"), ("a", "a")]
)
def test_a_local_path_is_taken_with_and_without_its_scheme(written, meant):
    assert load(SYNTHETIC, Config, [f"out={written}"]).out == Path(meant)
