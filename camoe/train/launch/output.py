"""The workers' output: kept in a file, followed through it by another process, and shown to whoever started the run."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from camoe.contracts.places.beside import beside
from camoe.contracts.shown.terminal import console, terminal_columns
from camoe.train.supervision.messages import StepProgress

POLL_S = 0.5
BAR_COLUMNS = 16


class LineTee(io.TextIOBase):
    """A stream whose lines go to each of `takers`, whole ones only, as several threads may write parts of theirs."""

    def __init__(self, *takers: Callable[[str], object]) -> None:
        super().__init__()
        self._takers = takers
        self._begun: dict[int, str] = {}

    def write(self, text: str) -> int:
        """See `io.TextIOBase`."""
        thread = threading.get_ident()
        whole, end, rest = (self._begun.get(thread, "") + text).rpartition("\n")
        self._begun[thread] = rest
        if end:
            self._give(whole + end)
        return len(text)

    def close(self) -> None:
        """See `io.TextIOBase`; lines that were not ended are given now."""
        for rest in self._begun.values():
            if rest:
                self._give(f"{rest}\n")
        self._begun.clear()
        super().close()

    def _give(self, text: str) -> None:
        for take in self._takers:
            take(text)


@contextlib.contextmanager
def tee_stdout(file: Path) -> Iterator[None]:
    """Copy what is printed while the block runs into `file`, truncated first.

    Where it cannot be made, that is said, and nothing is kept: what is said is worth less than a model.
    """
    takers: list[Callable[[str], object]] = [partial(print, end="", file=sys.stdout, flush=True)]
    with contextlib.ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            takers.append(stack.enter_context(log_file(file)))
        except OSError as error:
            print(f"train: {file} could not be made ({error}); training goes on without it", flush=True)
        both = stack.enter_context(contextlib.closing(LineTee(*takers)))
        stack.enter_context(contextlib.redirect_stdout(both))
        yield


@contextlib.contextmanager
def following(file: Path, show: Callable[[str], None]) -> Iterator[None]:
    """Give `show` each whole line that `file` gets while the block runs; it may not be there yet."""
    with beside(partial(_follow, file, show), "follow"):
        yield


def _follow(file: Path, show: Callable[[str], None], over: threading.Event) -> None:
    read = 0
    while True:
        last = over.wait(POLL_S)
        with contextlib.suppress(OSError), file.open("rb") as source:
            source.seek(read)
            fresh = source.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            read += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                show(line)
        if last:
            return


@contextmanager
def show_rank0() -> Iterator[Callable[[str | StepProgress], None]]:
    """Yield a function that shows rank 0's output; at a terminal progress moves a bar, and lines stand above it.

    Where the terminal is narrow, the end of the loss and the other figures is left out.
    """
    if terminal_columns() is None:
        yield lambda output: print(output.line if isinstance(output, StepProgress) else output, flush=True)
        return
    rest = TextColumn(
        "{task.fields[rest]}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
    )
    columns = (TextColumn("{task.description}"), BarColumn(BAR_COLUMNS), TextColumn("{task.fields[speed]}"), rest)
    with Progress(*columns, console=console(), expand=True) as bar:
        task = bar.add_task("starting", total=None, speed="", rest="")

        def show(output: str | StepProgress) -> None:
            if isinstance(output, StepProgress):
                speed, rest = f"{output.speed}  {output.left} left", f"loss {output.loss:.4f}  {output.figures}"
                bar.update(task, completed=output.step, total=output.steps, description=output.place)
                bar.update(task, speed=speed, rest=rest)
            else:
                bar.console.print(output, markup=False, highlight=False)

        yield show


@contextmanager
def log_file(log: Path) -> Iterator[Callable[[str], None]]:
    """Yield a function that appends to `log`, truncated first; its folder must exist.

    When the disk takes no more, that is said once, and nothing else is kept: what is said is worth less than a model.

    Raises:
        OSError: the file cannot be made.
    """
    # Without a buffer what was kept is in the file, and closing it has nothing left to fail at.
    with log.open("wb", buffering=0) as file:
        full = False

        def append(text: str) -> None:
            nonlocal full
            try:
                if not full:
                    file.write(text.encode())
            except OSError as error:
                full = True
                print(f"train: {log} could not be written ({error}); training goes on without it", flush=True)

        yield append
