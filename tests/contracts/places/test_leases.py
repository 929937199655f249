"""A lease has one holder, and none once that one is gone, wherever it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from threading import Thread

import pytest

from camoe.contracts.errors import TrainingError
from camoe.contracts.places import leases
from camoe.contracts.places.leases import ENDED, RUNNING, holder_of, leased, this_process
from tests.waiting import wait_until

HOLD = """
import sys
from pathlib import Path
from camoe.contracts.errors import TrainingError
from camoe.contracts.places import leases
leases.RENEW_S = 0.1
with leases.leased(Path(sys.argv[1]), "training", TrainingError):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(leases, "LEASE_S", 1.0)
    monkeypatch.setattr(leases, "RENEW_S", 0.1)
    monkeypatch.setattr(leases, "POLL_S", 0.05)


def hold(lease):
    command = [sys.executable, "-c", HOLD, lease]
    job = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert job.stdout.readline() == "held\n"
    return job


def elsewhere(**change):
    """What a process holds that this machine cannot ask."""
    return this_process().model_copy(update={"place": "another boot", **change}).model_dump_json()


def require_refused(lease, match="another training is at work"):
    with pytest.raises(TrainingError, match=match), leased(lease, "training", TrainingError):
        pass


def test_while_one_holds_it_another_is_refused_at_once_by_name(tmp_path):
    lease = tmp_path / "out/runs/.x.lock"
    with hold(lease) as job:
        began = time.monotonic()
        require_refused(lease, rf"another training is at work \(process {job.pid} on .*its lease is {lease}")
        assert time.monotonic() - began < 1
        job.communicate()
    with leased(lease, "training", TrainingError):
        assert holder_of(lease)[1] == RUNNING
    assert not (tmp_path / "out").exists(), "it leaves nothing"


def test_that_of_a_killed_process_is_free_at_once(tmp_path):
    with hold(tmp_path / "x") as job:
        job.kill()
        job.communicate()
    began = time.monotonic()
    with leased(tmp_path / "x", "training", TrainingError):
        assert time.monotonic() - began < 1


def test_one_that_was_stopped_keeps_it(tmp_path):
    with hold(tmp_path / "x") as job:
        job.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        require_refused(tmp_path / "x")
        job.send_signal(signal.SIGCONT)
        job.communicate()
    assert job.returncode == 0


@pytest.mark.parametrize(
    "change",
    [{}, {"host": "another"}, {"pid": 1}],
    ids=["a container that was started again, with the same number", "under another name", "with another number"],
)
def test_one_that_nobody_can_ask_loses_it_when_it_is_renewed_no_more(tmp_path, capsys, change):
    (tmp_path / "x").write_text(elsewhere(**change))
    with leased(tmp_path / "x", "training", TrainingError):
        assert holder_of(tmp_path / "x")[0].pid == os.getpid()
    assert capsys.readouterr().out.count("waits up to 1 s for a sign of life") == 1


def test_one_that_nobody_can_ask_loses_it_also_where_a_clock_was_set_back(tmp_path):
    (tmp_path / "x").write_text(elsewhere())
    ahead = time.time() + 3600
    os.utime(tmp_path / "x", (ahead, ahead))
    with leased(tmp_path / "x", "training", TrainingError):
        assert holder_of(tmp_path / "x")[1] == RUNNING


def test_one_that_nobody_can_ask_keeps_it_while_it_is_renewed(tmp_path):
    (tmp_path / "x").write_text(elsewhere())
    renewing = Thread(target=lambda: [time.sleep(0.1) or os.utime(tmp_path / "x") for _ in range(20)])
    renewing.start()
    require_refused(tmp_path / "x")
    renewing.join()


def test_a_number_that_was_given_out_again_is_no_holder(tmp_path):
    again = this_process()
    assert again.state() == RUNNING
    assert again.model_copy(update={"started": again.started + 1}).state() == ENDED


@pytest.mark.parametrize("content", ["", "{", '{"host": "h"}', '{"host": "h", "pid": 1, "since": "2026-01-01T00:00Z"}'])
def test_what_cannot_be_read_or_is_of_before_ends_with_its_time(tmp_path, content):
    (tmp_path / "x").write_text(content)
    with leased(tmp_path / "x", "training", TrainingError):
        assert holder_of(tmp_path / "x")[1] == RUNNING


def test_one_whose_lease_was_taken_over_ends(tmp_path):
    with hold(tmp_path / "x") as job:
        (tmp_path / "x").write_text(elsewhere())
        wait_until(lambda: job.poll() is not None, 20)
        error = job.stderr.read()
    assert job.returncode == -signal.SIGTERM
    assert "another process has taken" in error
    assert (tmp_path / "x").exists(), "it is the other's"
