"""The object store of the tests of places."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stream.object_store import Proxy, object_store


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    with object_store() as proxy:
        yield proxy


@pytest.fixture
def store(server: Proxy) -> Iterator[Proxy]:
    server.begin()
    yield server
    server.begin()
