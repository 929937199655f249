"""Training whose table lies in an object store, and all else under `out`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pyarrow.fs import LocalFileSystem, copy_files

from camoe.config import Config
from camoe.contracts.config_file import load
from camoe.contracts.storage import open_storage
from camoe.train.inputs import open_inputs
from tests.stream.object_store import object_store
from tests.train.pipeline import write_pipeline

ROWS = {"s0": 31, "s1": 20, "s2": 7}
REMOTE = "s3://lake/training"


@pytest.fixture(scope="module")
def store():
    with object_store() as proxy:
        yield proxy


@pytest.fixture
def pipeline(store, tmp_path):
    """A pipeline and, beside it, its training table in the store."""
    config = write_pipeline(tmp_path, ROWS)
    store.begin()
    remote = open_storage(REMOTE).filesystem
    # With threads, pyarrow's copying waits for its own threads for ever.
    copy_files(str(tmp_path / "out/training"), "lake/training", LocalFileSystem(), remote, use_threads=False)
    return config


def test_the_inputs_are_those_of_the_table_under_out(pipeline):
    local = open_inputs(load(pipeline, Config))
    remote = open_inputs(load(pipeline, Config, [f"training.table={REMOTE}"]))
    assert remote.train.table == REMOTE
    assert remote.train.content_hash() == local.train.content_hash()
    assert remote.validation.content_hash() == local.validation.content_hash()
    assert replace(remote, train=local.train, validation=local.validation) == local
