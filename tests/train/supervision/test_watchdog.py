"""A worker that waits too long ends, and says for what and for whom it waited."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from camoe.stream.planning.world import World
from camoe.train.supervision.heartbeats import clear, read_heartbeat
from camoe.train.supervision.watchdog import EXIT_CODE, Watchdog
from tests.waiting import wait_until

pytestmark = pytest.mark.lengthy

# Arguments from the fifth on are beats, or, with a "+", seconds with a sign of progress every 0.1 s. Then comes a wait.
WORKER = """
import sys, time
from pathlib import Path
from camoe.stream.planning.world import World
from camoe.train.supervision.watchdog import Watchdog
rank, timeout_s, wait_s, phases = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5:]
with Watchdog(World(rank, 2), timeout_s, Path(sys.argv[1]), longest_poll_s=0.1) as dog:
    print("ready", flush=True)
    for phase in phases:
        if phase.startswith("+"):
            for _ in range(round(float(phase) * 10)):
                dog.alive("its own files")
                time.sleep(0.1)
        else:
            dog.beat(phase)
    dog.note(f"worker {rank} has waited 1 s for part-7.parquet, row group 2")
    time.sleep(wait_s)
print("went on")
"""

LIMIT_S = 60


def start(folder, rank, timeout_s, wait_s, *phases):
    arguments = [sys.executable, "-c", WORKER, folder, str(rank), str(timeout_s), str(wait_s), *phases]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


def wait_for_phase(folder, rank, phase, writes=0):
    """Wait until the worker has written that it is at `phase`, and has written so many times."""

    def seen():
        heartbeat = read_heartbeat(folder, rank)
        return heartbeat is not None and phase in heartbeat.phase and heartbeat.writes >= writes

    wait_until(seen, LIMIT_S)


def test_a_stuck_worker_ends_and_names_its_step(tmp_path):
    """The other one waits for it, and has come further: its own time is not up."""
    with start(tmp_path / "w", 0, 60, 60, "step 7", "step 8") as other:
        process = start(tmp_path / "w", 1, 4, 60, "step 7 of epoch 1")
        _, error = process.communicate()
        other.kill()
    assert process.returncode == EXIT_CODE
    assert "error: worker 1 waited more than 4 s at step 7 of epoch 1" in error
    assert "no worker is behind it" in error


def test_a_worker_says_for_whom_it_waits(tmp_path):
    """The other worker is one step behind, and waits for data."""
    with start(tmp_path, 1, 60, 60, "the data of step 7") as behind:
        wait_for_phase(tmp_path, 1, "part-7.parquet")
        waiting = start(tmp_path, 0, 2, 60, "the data of step 7", "step 7")
        _, error = waiting.communicate()
        behind.kill()
    assert waiting.returncode == EXIT_CODE
    assert "it waits for worker 1 (at the data of step 7 (worker 1 has waited 1 s for part-7.parquet" in error


def test_a_worker_that_stopped_before_this_one_started_is_named(tmp_path):
    with start(tmp_path, 1, 60, 60, "step 7") as stopped:
        wait_for_phase(tmp_path, 1, "part-7.parquet")
        stopped.send_signal(signal.SIGSTOP)
        waiting = start(tmp_path, 0, 2, 60, "step 7")
        _, error = waiting.communicate()
        stopped.kill()
    assert waiting.returncode == EXIT_CODE
    assert "it waits for worker 1 (at step 7 (worker 1 has waited 1 s for part-7.parquet, row group 2), silent" in error


HANGING = """
import sys, time
from pathlib import Path
from camoe.stream.planning.world import World
from camoe.train.supervision import heartbeats
from camoe.train.supervision.watchdog import Watchdog
heartbeats.write_json = lambda *_: time.sleep(60)
with Watchdog(World(0, 2), 2, Path(sys.argv[1]), longest_poll_s=0.1) as dog:
    for step in range(50):
        dog.beat(f"step {step}")
        time.sleep(0.1)
    print("went on", flush=True)
    sys.stdout.close()
    __import__("os")._exit(0)
"""


def test_a_worker_that_goes_on_while_the_folder_of_heartbeats_hangs_is_left_alone(tmp_path):
    done = subprocess.run([sys.executable, "-c", HANGING, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr


HELPLESS = HANGING.replace("range(50)", "range(5)").replace('print("went on"', 'time.sleep(60); print("went on"')


def test_a_worker_whose_folder_of_heartbeats_hangs_ends_when_it_makes_no_progress_either(tmp_path):
    """As when a file server dies that holds the heartbeats and the rows: no worker can look at another."""
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", HELPLESS, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGALRM, done.stdout + done.stderr
    assert 'heartbeats.py", line ' in done.stderr, "the stack says where it hangs"
    assert time.monotonic() - began < 30


# Native code that never comes back and keeps the interpreter's lock, which no signal ends.
HOLDS_LOCK = """
import ctypes
def hold_lock():
    native, mutex = ctypes.PyDLL(None), ctypes.create_string_buffer(64)
    native.pthread_mutex_lock(mutex)
    native.pthread_mutex_lock(mutex)
"""
STARTING = (
    HOLDS_LOCK
    + """
import sys, time
from pathlib import Path
from camoe.stream.planning.world import World
from camoe.train.supervision.watchdog import Watchdog
with Watchdog(World(0, 1), 2, Path(sys.argv[1]), start_allowance_s=float(sys.argv[2]), longest_poll_s=0.1) as dog:
    if "begins" in sys.argv:
        dog.beat("step 1")
    if "holds the lock" in sys.argv:
        hold_lock()
    time.sleep(5)
"""
)


@pytest.mark.parametrize(
    ("allowance_s", "does", "code"),
    [
        ("60", "loads", 0),
        ("0", "loads", EXIT_CODE),
        ("60", "begins", EXIT_CODE),
        ("60", "holds the lock", -signal.SIGALRM),
    ],
)
def test_a_worker_that_starts_slowly_has_its_allowance_unless_it_does_not_run(tmp_path, allowance_s, does, code):
    command = [sys.executable, "-c", STARTING, tmp_path, allowance_s, does]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == code, done.stderr


def test_a_worker_that_native_code_keeps_from_watching_is_ended_and_its_stack_tells_where(tmp_path):
    command = [sys.executable, "-c", STARTING, tmp_path, "0", "holds the lock"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == -signal.SIGALRM
    assert "line 6 in hold_lock" in done.stderr


ENDING = (
    HOLDS_LOCK
    + """
import sys
from camoe.train.supervision.alarm import Alarm
Alarm(1).set()
if "hangs" in sys.argv:
    hold_lock()
"""
)


def test_a_process_that_does_not_end_when_it_should_is_ended(tmp_path):
    def code(does):
        command = [sys.executable, "-c", ENDING, does]
        return subprocess.run(command, capture_output=True, check=False, timeout=LIMIT_S).returncode

    assert code("hangs") == -signal.SIGALRM
    assert code("ends") == 0


@pytest.mark.slow
def test_a_worker_that_was_suspended_and_wakes_goes_on(tmp_path):
    """Ctrl-Z and fg, or a container that was paused: the time between is held against nobody."""
    with start(tmp_path, 0, 4, 0, "step 7", "+3") as suspended:
        wait_for_phase(tmp_path, 0, "its own files")
        suspended.send_signal(signal.SIGSTOP)
        time.sleep(10)
        suspended.send_signal(signal.SIGCONT)
        out, error = suspended.communicate()
    assert suspended.returncode == 0, error
    assert "went on" in out


def test_a_worker_that_never_began_is_named(tmp_path):
    waiting = start(tmp_path, 0, 1, 60, "joining the other workers")
    _, error = waiting.communicate()
    assert waiting.returncode == EXIT_CODE
    assert "at joining the other workers" in error
    assert "it waits for worker 1 (has not begun, silent for " in error


@pytest.mark.slow
def test_a_worker_that_makes_progress_is_waited_for(tmp_path):
    """For longer than the timeout; when it makes none any more, both name it."""
    with start(tmp_path, 1, 8, 60, "reading", "+14") as slow:
        waiting = start(tmp_path, 0, 8, 60, "reading", "adding up")
        wait_for_phase(tmp_path, 1, "part-7.parquet")
        assert waiting.poll() is None
        assert "worker 1 waited more than 8 s at its own files" in slow.communicate()[1]
        assert "it waits for worker 1 (at its own files" in waiting.communicate()[1]


def test_a_worker_that_goes_on_is_left_alone(tmp_path):
    process = start(tmp_path, 0, 4, 0.1, "step 1")
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "went on" in out
    assert not list(tmp_path.iterdir())


def test_what_a_failed_worker_did_can_be_read_until_the_next_attempt(tmp_path):
    def fail():
        with Watchdog(World(0, 1), 60, tmp_path / "w", longest_poll_s=0.01) as dog:
            dog.beat("step 7")
            wait_for_phase(tmp_path / "w", 0, "step 7")
            raise OSError

    with pytest.raises(OSError):
        fail()
    assert read_heartbeat(tmp_path / "w", 0).phase == "step 7"
    (tmp_path / "w/worker-1.json").write_text(json.dumps({"of": "another version"}))
    assert read_heartbeat(tmp_path / "w", 1) is None
    clear(tmp_path / "w")
    assert read_heartbeat(tmp_path / "w", 0) is None
    clear(tmp_path / "w")
