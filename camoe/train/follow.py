"""What one process says, shown by another while it is said, through a file that both see."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from camoe.train.run_log import kept

POLL_S = 0.5


class Into(io.TextIOBase):
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
def told(file: Path) -> Iterator[None]:
    """What is printed while the block runs goes into `file` too, which is made anew.

    Where it cannot be made, that is said, and nothing is kept: what is said is worth less than a model.
    """
    takers: list[Callable[[str], object]] = [partial(print, end="", file=sys.stdout, flush=True)]
    with contextlib.ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            takers.append(stack.enter_context(kept(file)))
        except OSError as error:
            print(f"train: {file} could not be made ({error}); training goes on without it", flush=True)
        both = stack.enter_context(contextlib.closing(Into(*takers)))
        stack.enter_context(contextlib.redirect_stdout(both))
        yield


@contextlib.contextmanager
def followed(file: Path, show: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, give `show` each whole line that `file` gets; it may not be there yet."""
    over = threading.Event()
    thread = threading.Thread(target=_follow, args=(file, show, over), daemon=True, name="follow")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


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
