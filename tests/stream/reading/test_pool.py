"""The pool: results in the order of the work, and an error when a thread of it fails or is gone."""

from __future__ import annotations

import threading
import time

import pytest
from petastorm.workers_pool import EmptyResultError
from petastorm.workers_pool.thread_pool import ThreadPool
from petastorm.workers_pool.ventilator import Ventilator
from petastorm.workers_pool.worker_base import WorkerBase

from camoe.contracts.errors import StreamError
from camoe.stream.reading.pool import OrderedPool


class Echo(WorkerBase):
    def process(self, item):
        self.publish_func(item)


class LateEcho(WorkerBase):
    """The earlier the item, the longer it takes."""

    def process(self, item):
        time.sleep(0.02 / (1 + item))
        self.publish_func(item)


class Faulty(WorkerBase):
    def process(self, item):
        if item == 2:
            raise self.args("no luck")
        self.publish_func(item)


def results(worker, items, threads=2, args=None):
    before = threading.active_count()
    pool = OrderedPool(threads, 10, print)
    pool.start(worker, args)
    try:
        for item in items:
            pool.submit(item)
        return [pool.get_results() for _ in items]
    finally:
        pool.stop()
        pool.join()
        assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_come_in_the_order_of_the_work(threads):
    assert results(LateEcho, range(20), threads) == list(range(20))


def test_an_unexpected_error_names_the_item():
    with pytest.raises(StreamError, match=r"2 could not be read: RuntimeError\('no luck'\)"):
        results(Faulty, range(5), args=RuntimeError)


def test_a_thread_that_ends_without_a_word_is_noticed():
    """SystemExit ends a thread silently."""
    with pytest.raises(StreamError, match="the reader thread ended without a word while it read 2"):
        results(Faulty, range(5), args=SystemExit)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [2, 4, 10])
def test_a_thousand_short_lives_of_a_pool_lose_nothing(threads):
    for _ in range(1000):
        assert results(Echo, range(8), threads) == list(range(8))


class LastItemLate(Ventilator):
    """Hands out its last item at the very moment it is asked whether it has completed, then says yes."""

    def __init__(self, pool):
        super().__init__(pool.ventilate)
        self.delivered = []
        self._late = True

    def start(self):
        self._ventilate_fn(item=0)

    def processed_item(self):
        pass

    def completed(self):
        if self._late and self.delivered == [0]:
            self._late = False
            self._ventilate_fn(item=1)
        return not self._late

    def stop(self):
        pass


def test_petastorms_own_pool_still_loses_work_of_a_ventilator():
    """When this fails, Petastorm has been mended and its own pool may do."""
    pool = ThreadPool(1)
    ventilator = LastItemLate(pool)
    pool.start(Echo, ventilator=ventilator)
    try:
        while True:
            ventilator.delivered.append(pool.get_results())
    except EmptyResultError:
        assert ventilator.delivered == [0]
    finally:
        pool.stop()
        pool.join()
