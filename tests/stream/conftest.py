"""A real S3 server for the tests of a module."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from petastorm.workers_pool.thread_pool import WorkerThread

from tests.object_store import Proxy
from tests.stream.lake import write_table


@pytest.fixture(scope="module")
def server(server: Proxy) -> Proxy:
    """The store behind its proxy, with a table of 4 files at `tables/t`."""
    write_table("s3://lake/tables/t", [(slot, day, [40, 30]) for slot in range(2) for day in range(2)])
    return server


@pytest.fixture
def store(store: Proxy) -> Iterator[Proxy]:
    """The proxy, which does not break anything yet. Reader threads may not be left afterwards."""
    yield store
    assert not [thread for thread in threading.enumerate() if isinstance(thread, WorkerThread)]


@pytest.fixture
def write(store: Proxy, tmp_path: Path) -> Callable[[list[tuple[int, int, list[int]]]], Path | str]:
    """Writes a table of this test's own; before anything is broken, as writing is not tried again."""
    return lambda files: write_table(f"s3://lake/{tmp_path.name}", files)
