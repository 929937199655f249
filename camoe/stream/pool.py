"""Petastorm's thread pool, fed and emptied by one thread, which never waits in silence.

In petastorm 0.13.1 `ThreadPool.get_results` asks whether all workers are done before it asks whether the ventilator,
a thread of its own, has handed out everything. When the ventilator finishes between the two questions, both answers are
yes while work is still queued, and the epoch ends early without an error. Here the thread that takes the results also
hands out the work, so it knows at any time what is due; and results come in the order of the work.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from petastorm.workers_pool import VentilatedItemProcessedMessage
from petastorm.workers_pool.thread_pool import ThreadPool

from camoe.contracts.errors import StreamError

POLL_S = 0.2
# How long a reader thread may take to end what it is reading when the stream ends.
JOIN_TIMEOUT_S = 10.0


class OrderedPool(ThreadPool):  # type: ignore[misc]  # petastorm ships no types
    """A pool that returns one result for each item handed to `submit`, in that order.

    `patience_s` is how long `get_results` waits before it calls `say`, again after each such time.
    """

    def __init__(self, threads: int, patience_s: float, say: Callable[[str], None]) -> None:
        super().__init__(threads)
        self._patience_s = patience_s
        self._say = say
        self._due: deque[tuple[int, Any]] = deque()

    @property
    def due(self) -> int:
        """Items handed out whose results have not been taken."""
        return len(self._due)

    def submit(self, item: Any) -> None:
        """Hand out one item; `str(item)` names it in messages."""
        self._due.append((self._ventilated_items % self.workers_count, item))
        self.ventilate(item)

    def get_results(self) -> Any:
        """The result of the item handed out first.

        Raises:
            StreamError: the reader thread met an error or ended; names the item.
        """
        worker, item = self._due.popleft()
        since = said = time.monotonic()
        while True:
            # Asked first: a thread that has ended by now has put its last result into the queue before.
            alive = self._workers[worker].is_alive()
            try:
                result = self._results_queues[worker].get(timeout=POLL_S)
            except queue.Empty:
                if not alive:
                    raise StreamError(f"the reader thread ended without a word while it read {item}") from None
                now = time.monotonic()
                if now - said >= self._patience_s:
                    said = now
                    self._say(f"has waited {now - since:.0f} s for {item}")
                continue
            if isinstance(result, VentilatedItemProcessedMessage):
                continue
            if isinstance(result, StreamError):
                raise result
            if isinstance(result, Exception):
                raise StreamError(f"{item} could not be read: {result!r}") from result
            return result

    def join(self) -> None:
        """Wait for the threads. Raises `StreamError` when one does not end, as when its disk does not answer."""
        for thread in self._workers:
            thread.join(JOIN_TIMEOUT_S)
        if any(thread.is_alive() for thread in self._workers):
            names = ", ".join(str(item) for _, item in self._due) or "its last row group"
            raise StreamError(f"a reader thread has not ended in {JOIN_TIMEOUT_S:.0f} s; it may still read {names}")
