"""Progress of a long Spark step: a line that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from pyspark import SparkContext
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column

from camoe.contracts.places.beside import beside
from camoe.contracts.shown.terminal import console, terminal_columns

POLL_S = 0.2
LINE_S = 5.0


@contextmanager
def step(context: SparkContext, what: str) -> Iterator[None]:
    """Show tasks done, and those known to come, while the block runs, and a line at its end: on stdout, as results."""
    started = time.monotonic()
    show = _lines if terminal_columns() is None else _moving
    with beside(partial(show, context, what), "progress"):
        yield
    print(f"{what}: done in {time.monotonic() - started:.1f} s", flush=True)


def job_of(context: SparkContext) -> str:
    """Return the name of the job whose session this is."""
    return (context.appName or "").removeprefix("camoe ")


class StageTasks:
    """Tasks of the stages that a step was seen to run; those done never become fewer.

    There is no share of the whole: Spark knows of a stage when it begins, so the whole would grow with each.
    """

    def __init__(self) -> None:
        self._done: dict[int, int] = {}
        self._known: dict[int, int] = {}

    def seen(self, running: Mapping[int, tuple[int, int]]) -> str:
        """Take in tasks (done, known) of the stages that run now; tell of all so far, if any."""
        for stage in self._known.keys() - running.keys():
            self._done[stage] = self._known[stage]
        for stage, (done, known) in running.items():
            self._done[stage] = max(done, self._done.get(stage, 0))
            self._known[stage] = max(known, self._known.get(stage, 0))
        done = sum(self._done.values())
        return f"{done} tasks done, {sum(self._known.values()) - done} to come" if self._known else ""


def _running(context: SparkContext) -> dict[int, tuple[int, int]]:
    """Return the tasks done and known of each stage that runs now."""
    tracker = context.statusTracker()
    found = {stage: tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()}
    return {stage: (info.numCompletedTasks, info.numTasks) for stage, info in found.items() if info is not None}


def _lines(context: SparkContext, what: str, done: threading.Event) -> None:
    started, tasks = time.monotonic(), StageTasks()
    while not done.wait(LINE_S):
        told = (tasks.seen(_running(context)), f"{time.monotonic() - started:.0f} s")
        print(f"{what} ... {', '.join(filter(None, told))}", flush=True)


def _moving(context: SparkContext, what: str, done: threading.Event) -> None:
    """Show one line that is as wide as the terminal: of what is done the end is cut off, and never the figures."""
    described = TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
    columns = (SpinnerColumn(), described, TextColumn("{task.fields[tasks]}"), TimeElapsedColumn())
    with Progress(*columns, console=console(), transient=True, expand=True) as progress:
        line, tasks = progress.add_task(what.partition(": ")[2] or what, total=None, tasks=""), StageTasks()
        while not done.wait(POLL_S):
            progress.update(line, tasks=tasks.seen(_running(context)))
