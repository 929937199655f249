"""Work that goes on beside a block, in a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def beside(work: Callable[[Event], object], name: str) -> Iterator[None]:
    """Run `work` in a thread while the block runs; its event is set when the block ends, and it is waited for."""
    over = Event()
    thread = Thread(target=work, args=(over,), daemon=True, name=name)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
