"""Petastorm's thread pool without its lost row groups.

In petastorm 0.13.1 `ThreadPool.get_results` asks whether all workers are done before it asks whether the ventilator
has handed out everything. When the ventilator finishes between the two questions, both answers are yes while work is
still queued, and the epoch ends early without an error.
"""

from __future__ import annotations

from petastorm.workers_pool.thread_pool import ThreadPool


class SafeThreadPool(ThreadPool):  # type: ignore[misc]  # petastorm ships no types
    """A pool whose workers count as done only once nothing can be handed to them any more.

    Both of `get_results`' questions go through `current_worker_done`, so asking the ventilator first mends the order.
    Results then also come strictly in the order of ventilation.
    """

    def current_worker_done(self, worker_id: int) -> bool:
        """Whether `worker_id` has nothing left, and the ventilator nothing more to hand out."""
        exhausted = self._ventilator is None or self._ventilator.completed()
        return exhausted and bool(super().current_worker_done(worker_id))
