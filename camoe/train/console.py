"""Shows a run to whoever started it: a bar at a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn

STEP_LINE = re.compile(r"train: (?P<epoch>epoch \d+)  step (?P<step>\d+)/(?P<steps>\d+)  (?P<figures>.*)")


@contextmanager
def shown() -> Iterator[Callable[[str], None]]:
    """What takes the first worker's lines. At a terminal a step's line moves the bar, and others stand above it."""
    if not sys.stdout.isatty():
        yield lambda text: print(text, flush=True)
        return
    with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}")) as bar:
        task = bar.add_task("starting", total=None, figures="")

        def show(text: str) -> None:
            found = STEP_LINE.fullmatch(text)
            if found is None:
                bar.console.print(text, markup=False, highlight=False)
                return
            step, steps = int(found["step"]), int(found["steps"])
            bar.update(task, description=found["epoch"], completed=step, total=steps, figures=found["figures"])

        yield show
