"""Paths in the configuration: addresses of other places are refused before anything is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from tests.paths import ROOT

SYNTHETIC = ROOT / "conf/synthetic.yaml"


@pytest.mark.parametrize("key", ["out", "lake", "training.warm_start"])
@pytest.mark.parametrize("address", ["s3://user:secret@bucket/mine", "hdfs://host/mine", "s3a:/bucket", "gs://b"])
def test_an_address_is_no_folder_of_that_name(key, address):
    with pytest.raises(ConfigError, match="is no place for it: give a local path") as refused:
        load(SYNTHETIC, Config, ["out=here", f"{key}={address}"])
    assert key in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("key", ["input", "sources.impressions.path", "sources.entities.user.path"])
def test_raw_tables_may_lie_at_an_address_of_an_object_store(key):
    def found(written):
        config = load(SYNTHETIC, Config, ["out=here", f"{key}={written}"])
        places = {"input": config.input, "sources.impressions.path": config.sources.impressions.path}
        return places.get(key, config.sources.entities["user"].path)

    assert found("s3a://bucket/of a day=1/") == "s3://bucket/of a day=1"
    assert found("s3://bucket") == "s3://bucket"
    assert str(found("file:///a/b")) == "/a/b"
    for address in ("s3://user:secret@bucket/x", "s3://bucket/x?secret", "s3://bucket/a//b", "s3://b/../x", "s3://"):
        with pytest.raises(ConfigError, match=r"reads s3://bucket/path; give no credentials in it") as refused:
            found(address)
        assert "secret" not in str(refused.value)
    with pytest.raises(ConfigError, match=r"hdfs:// is no place for it"):
        found("hdfs://host/mine")


@pytest.mark.parametrize(
    ("written", "meant"), [("file:///a/b", "/a/b"), ("file:/a", "/a"), ("a:b/c", "a:b/c"), ("a", "a")]
)
def test_a_local_path_is_taken_with_and_without_its_scheme(written, meant):
    assert load(SYNTHETIC, Config, [f"out={written}"]).out == Path(meant)
