"""How many threads a worker computes with: its share of the cores that it may use, or as many as it is told."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import horovod.torch as hvd
import pytest

from camoe.contracts.errors import TrainingError
from camoe.train.distributed.cores import usable_cores
from camoe.train.distributed.workers import join_workers

pytestmark = pytest.mark.lengthy

THREADS = """
import torch
from camoe.train.distributed.workers import join_workers
join_workers()
print(torch.get_num_threads())
"""


@pytest.fixture
def cores():
    """The cores of this process, which has them again afterwards."""
    own = os.sched_getaffinity(0)
    yield own
    os.sched_setaffinity(0, own)


def test_cores_that_the_process_may_not_use_do_not_count(cores, tmp_path):
    assert usable_cores(tmp_path / "none") == len(cores)
    os.sched_setaffinity(0, {min(cores)})
    assert usable_cores(tmp_path / "none") == 1


@pytest.mark.parametrize(("quota", "share"), [("max 100000", 1.0), ("50000 100000", 0.0), ("99900000 100000", 1.0)])
def test_a_containers_quota_counts_where_it_is_less(cores, tmp_path, quota, share):
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cores(tmp_path / "cpu.max") == max(1, share * len(cores))


def test_a_worker_takes_as_many_threads_as_it_is_told():
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "1\n"


def test_a_worker_that_is_told_nothing_takes_the_cores_that_it_may_use(cores):
    os.sched_setaffinity(0, {min(cores)})
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "1\n"


def test_a_host_that_does_not_know_its_own_name_is_told_so(monkeypatch):
    """Horovod would die of it by SIGSEGV."""
    monkeypatch.setattr(socket, "gethostname", lambda: "no-such-host.invalid")
    with pytest.raises(
        TrainingError, match=r"^the name of this host, no-such-host\.invalid, has no address.*/etc/hosts"
    ):
        join_workers()


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1"])
def test_a_host_whose_own_name_is_a_loopback_address_is_told_so_where_others_are_elsewhere(monkeypatch, address):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: [(0, 0, 0, "", (address, 0))])
    monkeypatch.setenv("HOROVOD_GLOO_RENDEZVOUS_ADDR", "192.0.2.7")
    with pytest.raises(TrainingError, match=f"is {address} here, where Horovod on the other hosts cannot reach it"):
        join_workers()
    monkeypatch.setenv("HOROVOD_GLOO_RENDEZVOUS_ADDR", "127.0.0.1")
    monkeypatch.setattr(hvd, "init", unreached)
    with pytest.raises(RuntimeError, match="reached"):
        join_workers()


def unreached():
    raise RuntimeError("reached")
