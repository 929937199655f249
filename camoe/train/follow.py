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
    """A stream whose texts go to each of `takers`."""

    def __init__(self, *takers: Callable[[str], object]) -> None:
        super().__init__()
        self._takers = takers

    def write(self, text: str) -> int:
        """See `io.TextIOBase`."""
        for take in self._takers:
            take(text)
        return len(text)


@contextlib.contextmanager
def told(file: Path) -> Iterator[None]:
    """What is printed while the block runs goes into `file` too, which is made anew.

    Raises:
        OSError: the file cannot be made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    say = partial(print, end="", file=sys.stdout, flush=True)
    with kept(file) as keep, contextlib.redirect_stdout(Into(say, keep)):
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
