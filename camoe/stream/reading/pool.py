"""Petastorm's thread pool, fed and emptied by one thread, which never waits in silence.

Its own threads look for work a thousand times a second, which takes a tenth of a core from the training that runs
meanwhile; these sleep until there is some.

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
from petastorm.workers_pool.thread_pool import ThreadPool, WorkerThread
from petastorm.workers_pool.worker_base import WorkerBase

from camoe.contracts.errors import StreamError

POLL_S = 0.2
# How long a reader thread may take to end what it is reading when the stream ends.
JOIN_TIMEOUT_S = 10.0


class Work(queue.Queue[Any]):
    """Work of one thread. It waits here without a look at the time, so whoever stops it calls `wake`."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Wait for the next item, however long it takes to come. Raises `queue.Empty` when woken without one."""
        item = super().get()
        if item is None:
            raise queue.Empty
        return item

    def wake(self) -> None:
        """Let the thread go on without an item."""
        self.put(None)


class OrderedPool(ThreadPool):  # type: ignore[misc]  # petastorm ships no types
    """A pool that returns one result for each item handed to `submit`, in that order.

    `patience_s` is how long `get_results` waits before it calls `say`, again after each such time.
    """

    def __init__(self, threads: int, patience_s: float, say: Callable[[str], None]) -> None:
        super().__init__(threads)
        self._patience_s = patience_s
        self._say = say
        self._due: deque[tuple[int, Any]] = deque()

    def start(self, worker_class: type[WorkerBase], worker_args: Any = None, ventilator: Any = None) -> None:
        """Start the threads, each with a worker of `worker_class`, and the `ventilator`, as Petastorm's reader wants.

        Results are not bounded here: there are never more than items handed out.
        """
        self._ventilator_queues = [Work() for _ in range(self.workers_count)]
        self._results_queues: list[queue.Queue[Any]] = [queue.Queue() for _ in range(self.workers_count)]
        for number, (work, results) in enumerate(zip(self._ventilator_queues, self._results_queues, strict=True)):
            worker = worker_class(number, results.put, worker_args)
            thread = WorkerThread(worker, self._stop_event, work, results)
            # A read that never ends must not keep the process.
            thread.daemon = True
            self._workers.append(thread)
        for thread in self._workers:
            thread.start()
        if ventilator is not None:
            self._ventilator = ventilator
            ventilator.start()

    def stop(self) -> None:
        """Let the threads end after what they read now."""
        super().stop()
        for work in self._ventilator_queues:
            work.wake()

    @property
    def due(self) -> int:
        """Items handed out whose results have not been taken."""
        return len(self._due)

    def submit(self, item: Any) -> None:
        """Hand out one item; `str(item)` names it in messages."""
        self._due.append((self._ventilated_items % self.workers_count, item))
        self.ventilate(item)

    def get_results(self) -> Any:
        """Return the result of the item handed out first.

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
