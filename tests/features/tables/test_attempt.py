"""One attempt of a run at a time, whatever became of the one before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from camoe.contracts.layout import Layout
from camoe.contracts.places.leases import LEASE_S, holder_of, this_process
from camoe.contracts.runs import RunError, lock_of
from features.maintenance.orphans import clear, leftovers
from features.tables.attempt import only_attempt
from features.tables.locks import MAKING, making_alone
from tests.features import lake
from tests.features.maintenance.upkeep import DAYS, build_day, now

HOLD = """
import sys
from pathlib import Path
from features.tables.attempt import only_attempt
with only_attempt(Path(sys.argv[1]), "r1"):
    print("held", flush=True)
    sys.stdin.read()
"""
CONTEND = """
import sys
from pathlib import Path
from camoe.contracts.runs import RunError
from features.tables.attempt import only_attempt
print("ready", flush=True)
sys.stdin.readline()
try:
    with only_attempt(Path(sys.argv[1]), "r1"):
        print("held", flush=True)
        sys.stdin.read()
except RunError:
    print("refused", flush=True)
"""


def python(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def killed(tmp_path):
    """The folder of run records with the lock of a process that was killed."""
    runs = tmp_path / "out/runs"
    job = python(HOLD, runs)
    assert job.stdout.readline() == "held\n"
    with pytest.raises(RunError, match=rf"process {job.pid} on .*its lease is .*\.r1\.lock"), only_attempt(runs, "r1"):
        pass
    with only_attempt(runs, "r2"):
        pass
    job.send_signal(signal.SIGKILL)
    job.communicate()
    return runs


def test_the_lock_of_a_process_that_is_gone_is_taken_over_by_one(killed):
    jobs = [python(CONTEND, killed) for _ in range(4)]
    assert [job.stdout.readline() for job in jobs] == ["ready\n"] * 4
    for job in jobs:
        job.stdin.write("go\n")
        job.stdin.flush()
    assert sorted(job.stdout.readline() for job in jobs) == ["held\n", "refused\n", "refused\n", "refused\n"]
    for job in jobs:
        job.communicate()
    assert not lock_of(killed, "r1").exists()


def leave_elsewhere(lock, silent_s):
    """Leave a lock that a process which nobody can ask has not renewed for so long."""
    lock.write_text(this_process().model_copy(update={"host": "elsewhere", "place": "another"}).model_dump_json())
    then = time.time() - silent_s
    os.utime(lock, (then, then))


def test_a_lock_is_a_leftover_once_it_is_old_unless_its_process_may_run(killed):
    layout = Layout(killed.parent)
    (killed / ".torn.lock").write_text("")
    os.utime(killed / ".torn.lock", (1, 1))
    for name, silent_s in (("r3", 2 * LEASE_S), (MAKING, 2 * LEASE_S), ("r4", LEASE_S / 2)):
        leave_elsewhere(lock_of(killed, name), silent_s)
    with only_attempt(killed, "r2"):
        assert [item.path.name for item in leftovers(layout, now() - timedelta(hours=24))] == [".torn.lock"]
        found = leftovers(layout, now() + timedelta(hours=1))
    assert {item.what for item in found} == {"lock of a run"}
    assert {item.path.name for item in found} == {".r1.lock", ".r3.lock", ".torn.lock", ".first commit.lock"}
    clear(found)
    with only_attempt(killed, "r3"):
        pass


def test_a_run_does_not_wait_for_ever_for_one_that_goes_on(killed, capsys):
    lock = lock_of(killed, MAKING)
    message = rf"gave up after 1 s waiting for the run that makes the table: .*its lease is {lock}$"
    with making_alone(killed), pytest.raises(RunError, match=message), making_alone(killed, longest_s=1.0):
        pass
    assert capsys.readouterr().out.count("waits for the run that makes the table") == 1
    leave_elsewhere(lock, 2 * LEASE_S)
    with making_alone(killed, longest_s=0.0):
        assert holder_of(lock)[0].pid == os.getpid()


def test_an_attempt_that_writes_nothing_leaves_nothing(tmp_path):
    runs = tmp_path / "out/runs"
    with pytest.raises(ValueError, match="boom"), only_attempt(runs, "r1"):
        assert holder_of(lock_of(runs, "r1"))[0].pid == os.getpid()
        raise ValueError("boom")
    assert not runs.parent.exists()


def test_a_job_is_refused_while_another_attempt_of_its_run_is_at_work(tmp_path, capfd):
    config = lake.write_lake(tmp_path)
    with only_attempt(tmp_path / "out/runs", "r1"):
        assert lake.run_job(config, "--run-id", "r1") == 2
    assert capfd.readouterr().err.count("another attempt of the run is at work") == 1


def test_a_committed_run_without_its_record_is_told_so(tmp_path, capfd):
    config, layout = lake.write_lake(tmp_path), Layout(tmp_path / "out")
    build_day(layout, "r1", DAYS[0])
    (layout.runs / "r1.json").unlink()
    assert lake.run_job(config, "--run-id", "r1") == 2
    assert "run r1 has committed to" in capfd.readouterr().err
