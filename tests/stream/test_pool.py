"""The order of questions in which Petastorm's own pool loses work, and ours does not."""

from __future__ import annotations

import pytest
from petastorm.workers_pool import EmptyResultError
from petastorm.workers_pool.thread_pool import ThreadPool
from petastorm.workers_pool.ventilator import Ventilator
from petastorm.workers_pool.worker_base import WorkerBase

from camoe.stream.pool import SafeThreadPool


class Echo(WorkerBase):
    def process(self, item):
        self.publish_func(item)


class LastItemLate(Ventilator):
    """Hands out its last item at the very moment it is asked whether it has completed, then says yes."""

    def __init__(self, pool):
        super().__init__(pool.ventilate)
        self._late = True

    def start(self):
        self._ventilate_fn(item=0)

    def processed_item(self):
        pass

    def completed(self):
        if self._late and self.first_delivered():
            self._late = False
            self._ventilate_fn(item=1)
        return not self._late

    def first_delivered(self):
        return self.delivered == [0]

    def stop(self):
        pass


def results(pool):
    ventilator = LastItemLate(pool)
    ventilator.delivered = []
    pool.start(Echo, ventilator=ventilator)
    try:
        while True:
            ventilator.delivered.append(pool.get_results())
    except EmptyResultError:
        return ventilator.delivered
    finally:
        pool.stop()
        pool.join()


@pytest.mark.parametrize("threads", [1, 2])
def test_work_handed_out_at_the_last_moment_is_delivered(threads):
    assert results(SafeThreadPool(threads)) == [0, 1]


def test_petastorms_own_pool_still_loses_it():
    """When this fails, Petastorm has been mended and SafeThreadPool can go."""
    assert results(ThreadPool(1)) == [0]
