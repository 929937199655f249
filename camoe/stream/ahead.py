"""An iterator that is run ahead of its consumer, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

POLL_S = 0.2

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    """What comes after the last item: the error that ended the source, if one did."""

    error: Exception | None


class Ahead(Generic[T]):
    """The items of `source`, of which at most `depth` wait to be taken; its error comes where the next item would.

    The thread starts with the first item that is asked for. `end` and then `join` are due however the consumer stops.
    """

    def __init__(self, source: Iterator[T], depth: int) -> None:
        self._source = source
        self._ready: queue.Queue[T | _End] = queue.Queue(depth)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream ahead", daemon=True)

    def __iter__(self) -> Iterator[T]:
        self._thread.start()
        while not isinstance(item := self._ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error

    def end(self) -> None:
        """Let the thread take no further item from the source."""
        self._ended.set()

    def join(self) -> None:
        """Wait until the thread is through with the item in hand."""
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            for item in self._source:
                if not self._offer(item):
                    return
        except Exception as raised:  # noqa: BLE001  # whatever it is, the consumer's thread raises it
            error = raised
        finally:
            self._offer(_End(error))

    def _offer(self, item: T | _End) -> bool:
        while not self._ended.is_set():
            try:
                self._ready.put(item, timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False
