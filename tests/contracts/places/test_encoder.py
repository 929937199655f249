"""Versions of the encoder in an object store: none is half there, none is overwritten, and none is lost."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from camoe.contracts.encoder import EncoderError, append_version, latest_version, read, read_fitted_on
from camoe.contracts.places.objects import path_at
from tests.killed import killed_at_each_request
from tests.paths import ROOT

DAYS = date(2026, 1, 1), date(2026, 1, 2)
APPEND = """
import sys
from camoe.contracts.encoder import append_version
from camoe.contracts.places.objects import path_at
append_version({"x": [sys.argv[2]]}, path_at(sys.argv[1]))
"""


@pytest.fixture
def folder(store, request, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMOE_CACHE", str(tmp_path / "cache"))
    return path_at(f"s3://lake/{request.node.originalname}/encoder")


def test_a_version_is_read_as_it_was_written(folder):
    assert latest_version(folder) == 0
    with pytest.raises(EncoderError, match=r"no encoder at s3://\S+; run jobs/build_features.py"):
        read(folder, 1)
    first = append_version({"x": ["a", "b"], "y": []}, folder, DAYS, {"rate": 0.5})
    assert append_version({"x": ["a", "b"], "y": []}, folder, DAYS) == first
    second = append_version({"x": ["c"]}, folder)
    assert (read(folder, 1), read(folder)) == (first, second)
    assert second.continues(first)
    assert read_fitted_on(folder, DAYS, second).version in {1, 2}


def test_of_runs_that_append_at_once_no_values_are_lost(folder):
    with ThreadPoolExecutor(4) as pool:
        made = [*pool.map(lambda value: append_version({"x": [value]}, folder), "abcd")]
    assert sorted(encoder.version for encoder in made) == [1, 2, 3, 4]
    assert sorted(read(folder).values["x"]) == [*"abcd"]
    for encoder in made:
        assert read(folder, encoder.version) == encoder


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_whole_versions(store, folder):
    append_version({"x": ["a"]}, folder)
    versions = []
    for _ in killed_at_each_request(
        store, lambda number: subprocess.Popen([sys.executable, "-c", APPEND, str(folder), f"b{number}"], cwd=ROOT)
    ):
        for version in range(1, latest_version(folder) + 1):
            assert read(folder, version).version == version
        versions.append(latest_version(folder))
    assert versions[0] == 1
    assert versions[-1] == versions[-2] + 1


def test_a_vocabulary_that_is_not_the_one_that_was_written_is_refused(folder, tmp_path):
    append_version({"x": ["a"]}, folder)
    (path,) = folder.glob("v1/*/vocabulary.parquet")
    (tmp_path / "other").write_bytes(b"other")
    path.upload(tmp_path / "other")
    with pytest.raises(EncoderError, match=r"is damaged \(.*vocabulary.parquet is not the file that was written"):
        read(folder)
