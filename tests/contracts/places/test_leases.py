"""A lease has one holder, and none once that one is gone, wherever it was; on a disk and in an object store."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from threading import Thread

import pytest

from camoe.contracts.errors import TrainingError
from camoe.contracts.files import write_text
from camoe.contracts.places import leases
from camoe.contracts.places.lease_files import lease_file
from camoe.contracts.places.leases import ENDED, RUNNING, held_elsewhere, holder_of, leased, this_process
from camoe.contracts.places.objects import path_at
from tests.object_store import always
from tests.waiting import wait_until

HOLD = """
import sys
from camoe.contracts.errors import TrainingError
from camoe.contracts.places import leases
from camoe.contracts.places.objects import path_at
leases.RENEW_S = 0.1
with leases.leased(path_at(sys.argv[1]), "training", TrainingError):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(leases, "LEASE_S", 1.0)
    monkeypatch.setattr(leases, "RENEW_S", 0.1)
    monkeypatch.setattr(leases, "POLL_S", 0.05)


@pytest.fixture(params=["a disk", pytest.param("a store", marks=pytest.mark.slow)])
def lease(request, store, tmp_path):
    """The place of a lease."""
    return path_at(tmp_path / "x" if request.param == "a disk" else f"s3://lake/{tmp_path.name}/x")


def hold(lease):
    command = [sys.executable, "-c", HOLD, str(lease)]
    job = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert job.stdout.readline() == "held\n"
    return job


def elsewhere(**change):
    """What a process holds that this machine cannot ask."""
    return this_process().model_copy(update={"place": "another boot", **change}).model_dump_json()


def require_refused(lease, match="another training is at work"):
    with pytest.raises(TrainingError, match=match), leased(lease, "training", TrainingError):
        pass


def test_while_one_holds_it_another_is_refused_at_once_by_name(lease):
    lease = lease.with_name("out") / "runs/.x.lock"
    with hold(lease) as job:
        began = time.monotonic()
        require_refused(lease, rf"another training is at work \(process {job.pid} on .*its lease is {lease}")
        assert time.monotonic() - began < 1
        job.communicate()
    with leased(lease, "training", TrainingError):
        assert holder_of(lease)[1] == RUNNING
    assert not lease.parents[1].exists(), "it leaves nothing"


def test_that_of_a_killed_process_is_free_at_once(lease):
    with hold(lease) as job:
        job.kill()
        job.communicate()
    began = time.monotonic()
    with leased(lease, "training", TrainingError):
        assert time.monotonic() - began < 1


def test_one_that_was_stopped_keeps_it(lease):
    with hold(lease) as job:
        job.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        require_refused(lease)
        job.send_signal(signal.SIGCONT)
        job.communicate()
    assert job.returncode == 0


@pytest.mark.parametrize(
    "change",
    [{}, {"host": "another"}, {"pid": 1}],
    ids=["a container that was started again, with the same number", "under another name", "with another number"],
)
def test_one_that_nobody_can_ask_loses_it_when_it_is_renewed_no_more(lease, capsys, change):
    write_text(lease, elsewhere(**change))
    with leased(lease, "training", TrainingError):
        assert holder_of(lease)[0].pid == os.getpid()
    assert capsys.readouterr().out.count("waits up to 1 s for a sign of life") == 1


def test_one_that_nobody_can_ask_loses_it_also_where_a_clock_was_set_back(tmp_path):
    (tmp_path / "x").write_text(elsewhere())
    ahead = time.time() + 3600
    os.utime(tmp_path / "x", (ahead, ahead))
    with leased(tmp_path / "x", "training", TrainingError):
        assert holder_of(tmp_path / "x")[1] == RUNNING


def test_one_that_nobody_can_ask_keeps_it_while_it_is_renewed(lease):
    write_text(lease, elsewhere())
    renewing = Thread(
        target=lambda: [time.sleep(0.1) or lease_file(lease).renew(lease_file(lease).seen()) for _ in range(20)]
    )
    renewing.start()
    require_refused(lease)
    renewing.join()


def test_a_number_that_was_given_out_again_is_no_holder(lease):
    again = this_process()
    assert again.state() == RUNNING
    assert again.model_copy(update={"started": again.started + 1}).state() == ENDED


@pytest.mark.parametrize("content", ["", "{", '{"host": "h"}', '{"host": "h", "pid": 1, "since": "2026-01-01T00:00Z"}'])
def test_what_cannot_be_read_or_is_of_before_ends_with_its_time(lease, content):
    write_text(lease, content)
    with leased(lease, "training", TrainingError):
        assert holder_of(lease)[1] == RUNNING


def test_who_holds_one_is_known_to_its_holder_and_to_others(lease):
    assert not held_elsewhere(lease)
    with leased(lease, "training", TrainingError):
        assert not held_elsewhere(lease)
    with hold(lease) as job:
        assert held_elsewhere(lease)
        job.communicate()


def test_one_whose_lease_was_taken_over_ends(lease):
    with hold(lease) as job:
        write_text(lease, elsewhere())
        wait_until(lambda: job.poll() is not None, 20)
        error = job.stderr.read()
    assert job.returncode == -signal.SIGTERM
    assert "another process has taken" in error
    assert lease.exists(), "it is the other's"


def test_of_several_that_take_over_what_an_ended_one_held_one_has_it(lease):
    write_text(lease, elsewhere())
    had, at_work = [], []

    def attempt():
        try:
            with leased(lease, "training", TrainingError):
                at_work.append(1)
                assert len(at_work) == 1
                time.sleep(1)
                at_work.pop()
                had.append(1)
        except TrainingError:
            pass

    several = [Thread(target=attempt) for _ in range(4)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert had == [1]


def test_one_that_its_former_holder_deletes_late_is_made_again(store, tmp_path):
    lease = path_at(f"s3://lake/{tmp_path.name}/x")
    with leased(lease, "training", TrainingError):
        lease.unlink()
        wait_until(lease.exists, 20)
        assert not held_elsewhere(lease)
    assert not lease.exists()


def test_a_store_that_does_not_answer_for_a_moment_costs_a_renewal_only(store, tmp_path):
    lease = path_at(f"s3://lake/{tmp_path.name}/x")
    with leased(lease, "training", TrainingError):
        first = lease_file(lease).seen()
        store.fault = always("403 AccessDenied", "")
        time.sleep(0.5)
        store.begin()
        wait_until(lambda: lease_file(lease).seen() != first, 20)
    assert not lease.exists()
