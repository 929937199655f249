"""A worker that waits too long ends, and says for what and for whom it waited."""

from __future__ import annotations

import subprocess
import sys
import time

from camoe.train.watchdog import EXIT_CODE

# Two beats, then a wait.
WORKER = """
import sys, time
from pathlib import Path
from camoe.train.watchdog import Watchdog
rank, timeout_s, wait_s, doing = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), sys.argv[5:]
with Watchdog(rank, timeout_s, Path(sys.argv[1]), longest_poll_s=0.1) as dog:
    for what in doing:
        dog.beat(what)
    dog.note(f"worker {rank} has waited 1 s for part-7.parquet, row group 2")
    print("ready", flush=True)
    time.sleep(wait_s)
print("went on")
"""


def start(folder, rank, timeout_s, wait_s, *doing):
    arguments = [sys.executable, "-c", WORKER, folder, str(rank), str(timeout_s), str(wait_s), *doing]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_stuck_worker_ends_and_names_its_step(tmp_path):
    process = start(tmp_path / "w", 1, 0.4, 60, "step 7 of epoch 1")
    _, error = process.communicate()
    assert process.returncode == EXIT_CODE
    assert "error: worker 1 waited more than 0.4 s at step 7 of epoch 1" in error
    assert "no worker is behind it" in error


def test_a_worker_says_for_whom_it_waits(tmp_path):
    """The other worker is one step behind, and waits for data. It has said so before the first one's time is up."""
    with start(tmp_path, 1, 60, 60, "the data of step 7") as behind:
        assert behind.stdout.readline() == "ready\n"
        state = tmp_path / "worker-1.json"
        while not state.exists() or "part-7.parquet" not in state.read_text():
            time.sleep(0.05)
        waiting = start(tmp_path, 0, 4, 60, "the data of step 7", "step 7")
        _, error = waiting.communicate()
        behind.kill()
    assert waiting.returncode == EXIT_CODE
    assert "it waits for worker 1 (at the data of step 7 (worker 1 has waited 1 s for part-7.parquet" in error


def test_a_worker_that_goes_on_is_left_alone(tmp_path):
    process = start(tmp_path, 0, 0.4, 0.1, "step 1")
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "went on" in out
    assert not list(tmp_path.iterdir())
