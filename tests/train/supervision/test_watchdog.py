"""A worker that waits too long ends, and says for what and for whom it waited."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from camoe.stream.planning.world import World
from camoe.train.supervision import sentinel
from camoe.train.supervision.heartbeats import clear, read_heartbeat
from camoe.train.supervision.messages import Stopped, parse_message, read_endings
from camoe.train.supervision.watchdog import EXIT_CODE, Watchdog
from tests.waiting import wait_until

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


def test_a_worker_that_is_stopped_with_nobody_to_see_it_is_ended_and_named(tmp_path):
    with start(tmp_path, 0, 4, 60, "step 7") as stopped:
        wait_for_phase(tmp_path, 0, "part-7.parquet")
        # As often as it writes it tells its sentinel.
        wait_for_phase(tmp_path, 0, "part-7.parquet", read_heartbeat(tmp_path, 0).writes + 10)
        stopped.send_signal(signal.SIGSTOP)
        _, error = stopped.communicate()
    assert stopped.returncode == -signal.SIGKILL
    said = (
        "worker 0 waited more than 4 s at step 7 (worker 0 has waited 1 s for part-7.parquet, row group 2): it did not"
    )
    assert f"error: {said} run, and was ended" in error
    assert [ending.reason.startswith(said) for ending in read_endings(tmp_path)] == [True]


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
    assert done.returncode == EXIT_CODE, done.stdout + done.stderr
    assert f"error: worker 0 waited more than 2 s at step 4: {tmp_path} does not answer" in done.stderr
    assert time.monotonic() - began < 30


ENDING = """
import os, signal, sys
from pathlib import Path
from camoe.train.supervision.sentinel import end_within
end_within(1, 2, Path(sys.argv[1]) / "worker-1-end.json")
if sys.argv[2] == "stops":
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_process_that_does_not_end_when_it_should_is_ended_and_named(tmp_path):
    command = [sys.executable, "-c", ENDING, tmp_path]
    done = subprocess.run([*command, "stops"], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == -signal.SIGKILL
    assert "error: worker 1 waited more than 2 s at ending: it did not run, and was ended" in done.stderr
    assert list(read_endings(tmp_path)) == [Stopped(1, 2.0, "ending")]
    ends = subprocess.run([*command, "ends"], capture_output=True, text=True, check=False)
    assert (ends.returncode, ends.stderr) == (0, "")


def test_a_sentinel_tells_a_launcher_that_takes_messages_in_data(tmp_path):
    command = [sys.executable, "-c", ENDING, tmp_path, "stops"]
    environment = os.environ | {sentinel.MESSAGES: "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment)
    assert parse_message(done.stderr.removesuffix("\n")) == Stopped(1, 2.0, "ending")


STARTING = """
import os, signal, sys, time
from pathlib import Path
from camoe.stream.planning.world import World
from camoe.train.supervision.watchdog import Watchdog
with Watchdog(World(0, 1), 2, Path(sys.argv[1]), start_allowance_s=float(sys.argv[2]), longest_poll_s=0.1) as dog:
    if "begins" in sys.argv:
        dog.beat("step 1")
    if "stops" in sys.argv:
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(5)
"""


@pytest.mark.parametrize(
    ("allowance_s", "does", "code"),
    [("60", "loads", 0), ("0", "loads", EXIT_CODE), ("60", "begins", EXIT_CODE), ("60", "stops", -signal.SIGKILL)],
)
def test_a_worker_that_starts_slowly_has_its_allowance_unless_it_does_not_run(tmp_path, allowance_s, does, code):
    command = [sys.executable, "-c", STARTING, tmp_path, allowance_s, does]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == code, done.stderr


def test_a_worker_and_its_sentinel_stopped_together_go_on_together(tmp_path):
    """Ctrl-Z at a terminal, and later fg: the time between is not held against the worker."""
    with start(tmp_path, 0, 8, 30, "step 7") as suspended:
        wait_for_phase(tmp_path, 0, "part-7.parquet")
        watcher = sentinel_of(suspended)
        for process in (watcher, suspended.pid):
            os.kill(process, signal.SIGSTOP)
        time.sleep(10)
        for process in (watcher, suspended.pid):
            os.kill(process, signal.SIGCONT)
        _, error = suspended.communicate()
    assert suspended.returncode == EXIT_CODE
    assert "it waits for worker 1 (has not begun" in error


def test_a_sentinel_ends_with_its_worker(tmp_path):
    with start(tmp_path, 0, 60, 60, "step 7") as worker:
        watcher = sentinel_of(worker)
        worker.kill()
    wait_until(lambda: not runs(watcher), LIMIT_S)


def runs(watcher):
    """Tell whether the process is there, and none of another program that got its number."""
    try:
        return b"sentinel" in Path(f"/proc/{watcher}/cmdline").read_bytes()
    except OSError:
        return False


def sentinel_of(process):
    """The number of the process that watches over a worker."""
    (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


def test_a_worker_that_never_began_is_named(tmp_path):
    waiting = start(tmp_path, 0, 1, 60, "joining the other workers")
    _, error = waiting.communicate()
    assert waiting.returncode == EXIT_CODE
    assert "at joining the other workers" in error
    assert "it waits for worker 1 (has not begun, silent for " in error


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


def test_a_sentinel_starts_from_an_archive_too(tmp_path):
    """As --py-files brings this package to a cluster."""
    with zipfile.ZipFile(tmp_path / "camoe.zip", "w") as archive:
        for name in ("camoe/__init__.py", "camoe/train/__init__.py", "camoe/train/supervision/__init__.py"):
            archive.writestr(name, "")
        archive.write(sentinel.__file__, "camoe/train/supervision/sentinel.py")
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from pathlib import Path; "
        "from camoe.train.supervision.sentinel import Sentinel; Sentinel(0, 0.5, Path(sys.argv[2])); time.sleep(60)"
    )
    command = [sys.executable, "-I", "-c", program, tmp_path / "camoe.zip", tmp_path / "worker-0-end.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "error: worker 0 waited more than 0.5 s" in done.stderr
    assert list(read_endings(tmp_path)) == [Stopped(0, 0.5, "its first step")]
