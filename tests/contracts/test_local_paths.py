"""Paths in the configuration: addresses of other places are refused before anything is made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from features.synthetic.config import LakeConfig
from tests.paths import ROOT

SYNTHETIC = ROOT / "conf/synthetic.yaml"


@pytest.mark.parametrize("key", ["out", "lake", "work", "training.warm_start"])
@pytest.mark.parametrize("address", ["s3://user:secret@bucket/mine", "hdfs://host/mine", "s3a:/bucket", "gs://b"])
def test_an_address_is_no_folder_of_that_name(key, address):
    said = "is no place for it: give a local path|reads s3://bucket/path; give no credentials in it"
    with pytest.raises(ConfigError, match=said) as refused:
        load(SYNTHETIC, Config, ["out=here", f"{key}={address}"])
    assert key in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("address", ["s3://bucket/mine", "s3a://bucket/mine/"])
def test_out_and_lake_may_be_addresses_and_what_never_lies_in_a_store_has_a_folder(address, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path))
    config = load(SYNTHETIC, Config, [f"out={address}"])
    assert Config.model_validate_json(config.model_dump_json()) == config
    layout = config.layout
    assert str(layout.runs) == "s3://bucket/mine/runs"
    assert layout.logs == tmp_path / "work/bucket/mine/logs"
    assert layout.copies.parent == tmp_path / "work/bucket/mine"
    assert load(SYNTHETIC, Config, [f"out={address}"]).raw == "s3://bucket/mine/raw"
    given = load(SYNTHETIC, Config, ["out=here", f"lake={address}", "work=there"]).layout
    assert (given.counts, given.logs) == (Path("here/counts.json"), Path("there/logs"))
    assert str(given.table) == "s3://bucket/mine/training"
    assert load(SYNTHETIC, Config, ["out=here"]).layout.logs == Path("here/logs")


@pytest.mark.parametrize("key", ["predictions", "training.table"])
def test_a_table_lies_where_its_place_says_or_is_refused(key):
    def found(written):
        config = load(SYNTHETIC, Config, ["out=here", f"{key}={written}"])
        return config.predictions if key == "predictions" else config.training.table

    assert found("s3a://bucket/mine/") == "s3://bucket/mine"
    assert found("file:/a/b") == found("file:///a/b") == "/a/b"
    for address in ("s3:/bucket/mine", "hdfs:/host/mine", "hdfs://host/mine", "s3://bucket/a//b", "s3://b/../x"):
        with pytest.raises(ConfigError, match=f"{key}.*is no place for it|{key}.*reads s3://bucket/path"):
            found(address)
    with pytest.raises(ConfigError, match=rf"{key}=s3://bucket/a%20b: Spark and delta-rs"):
        found("s3://bucket/a%20b")


def test_a_synthetic_lake_is_made_on_a_disk():
    with pytest.raises(ConfigError, match=r"'out': s3:// is no place for it: give a local path"):
        load(ROOT / "conf/lake/default.yaml", LakeConfig, ["out=s3://bucket/mine"])


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


@pytest.mark.parametrize(
    ("written", "said"), [("file://host/a", "give file:///folder"), ('" s3://bucket/a"', "reads s3://bucket/path")]
)
def test_what_would_be_another_folder_is_refused(written, said):
    with pytest.raises(ConfigError, match=said):
        load(SYNTHETIC, Config, [f"out={written}"])
