"""Marks of what takes long, for `make test-fast`: some are set here, and none that is needed can be forgotten."""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

import pytest

# Of commands that tests start: the mark of what they start in turn.
STARTED_BY = {"spark-submit": "spark", "horovodrun": "horovod", "jobs/train.py": "horovod", "jobs/demo.py": "spark"}
# What writes a bundle.
WRITERS = {"write_bundle", "write_scorable"}
# Marks of the running test.
marks: set[str] = set()


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Mark the tests that use the local Spark, and those of files that write bundles."""
    for item in items:
        if "spark" in item.fixturenames:
            item.add_marker(pytest.mark.spark)
        if WRITERS & vars(item.module).keys():
            item.add_marker(pytest.mark.bundle)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """While `item` runs, let nothing be started that its marks do not tell of."""
    marks.update(mark.name for mark in item.iter_markers())
    try:
        return (yield)
    finally:
        marks.clear()


def refuse_unmarked(event: str, arguments: tuple[Any, ...]) -> None:
    """Raise `AssertionError` where a process is started that the running test is not marked for."""
    if event != "subprocess.Popen":
        return
    command = " ".join(map(str, arguments[1]))
    for name, mark in STARTED_BY.items():
        assert name not in command or mark in marks, f"mark the test with pytest.mark.{mark}: it starts {name}"


sys.addaudithook(refuse_unmarked)
