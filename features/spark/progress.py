"""Progress of a long Spark step: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from pyspark import SparkContext
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from camoe.contracts.places.beside import beside

POLL_S = 0.2
LINE_S = 5.0


@contextmanager
def step(context: SparkContext, what: str) -> Iterator[None]:
    """Show tasks done of tasks known while the block runs, and a line at its end. On stdout, as the results."""
    started = time.monotonic()
    show = _bar if sys.stdout.isatty() else _lines
    with beside(partial(show, context, what), "progress"):
        yield
    print(f"{what}: done in {time.monotonic() - started:.1f} s", flush=True)


def _tasks(context: SparkContext) -> tuple[int, int]:
    """Return the tasks done and known, over the stages that run now."""
    tracker = context.statusTracker()
    stages = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage)) is not None]
    return sum(info.numCompletedTasks for info in stages), sum(info.numTasks for info in stages)


def _lines(context: SparkContext, what: str, done: threading.Event) -> None:
    started = time.monotonic()
    while not done.wait(LINE_S):
        finished, known = _tasks(context)
        print(f"{what} ... {finished}/{known} tasks, {time.monotonic() - started:.0f} s", flush=True)


def _bar(context: SparkContext, what: str, done: threading.Event) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total} tasks"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(), transient=True) as progress:
        bar = progress.add_task(what, total=None)
        while not done.wait(POLL_S):
            finished, known = _tasks(context)
            progress.update(bar, completed=finished, total=known or None)
