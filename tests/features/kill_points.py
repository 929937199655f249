"""Where a job that writes the training table is killed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camoe.contracts.layout import Layout
from camoe.contracts.snapshot import pin
from tests.features.real_job import Job

ATTEMPTS = 5
# Begins a job, which the name tells from others.
Start = Callable[[str], Job]


def entries(layout: Layout) -> set[str]:
    """Return the names of the entries of the table's log."""
    return {path.name for path in (layout.training / "_delta_log").glob("*.json")}


def commits(layout: Layout) -> set[str]:
    """Return the names of those entries that have rows, in place of metadata alone."""
    log = layout.training / "_delta_log"
    return {name for name in entries(layout) if '{"add":' in (log / name).read_text()}


def data_files(layout: Layout) -> set[Path]:
    """Return the table's files of rows, those of no version among them."""
    return set(layout.training.glob("modality=*/slot=*/date=*/*.parquet"))


def rows_in(files: Iterable[Path]) -> int:
    """Return the rows of those of `files` that are finished: one that is being written has no footer yet."""
    total = 0
    for path in files:
        try:
            total += pq.read_metadata(path).num_rows
        except pa.ArrowInvalid:
            continue
    return total


def killed_while_reading(start: Start, layout: Layout, said: str = "checking impressions: done") -> None:
    """Kill the job that `start` begins when it has `said` that a step before the writing is over."""
    job = start("reading")
    job.until(lambda: job.has_printed(said))
    job.kill()


def killed_while_writing(start: Start, layout: Layout) -> None:
    """Kill it when its first file of rows is there."""
    before = data_files(layout)
    job = start("writing")
    job.until(lambda: data_files(layout) > before)
    job.kill()


def killed_before_the_log(start: Start, layout: Layout) -> None:
    """Stop the job when all rows are written, look that the log has no commit of them yet, and kill it.

    How many files they are in is the job's own choice.
    """
    wanted = pin(layout.training).rows
    for attempt in range(ATTEMPTS):
        before, log = data_files(layout), commits(layout)
        job = start(f"log{attempt}")
        job.until(lambda: rows_in(data_files(layout) - before) == wanted)  # noqa: B023
        job.signal(signal.SIGSTOP)
        too_late = commits(layout) != log
        job.kill()
        if not too_late:
            return
    pytest.fail(f"the job committed between two looks at its files, {ATTEMPTS} times")


def killed_after_the_commit(start: Start, layout: Layout) -> None:
    """Kill it when the table's log has the commit of its rows."""
    log = commits(layout)
    job = start("commit")
    job.until(lambda: commits(layout) > log)
    job.kill()
