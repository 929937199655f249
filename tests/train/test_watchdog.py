"""A worker that waits too long ends, and says for what it waited."""

from __future__ import annotations

import subprocess
import sys

from camoe.train.watchdog import EXIT_CODE

STUCK = """
import time
from camoe.train.watchdog import Watchdog
with Watchdog(rank=1, timeout_s=0.4) as dog:
    dog.beat("step 7 of epoch 1")
    time.sleep({wait})
print("went on")
"""


def run(wait):
    return subprocess.run([sys.executable, "-c", STUCK.format(wait=wait)], capture_output=True, text=True, check=False)


def test_a_stuck_worker_ends_and_names_its_step():
    done = run(wait=60)
    assert done.returncode == EXIT_CODE
    assert "worker 1 waited more than 0.4 s at step 7 of epoch 1" in done.stderr


def test_a_worker_that_goes_on_is_left_alone():
    done = run(wait=0.1)
    assert done.returncode == 0
    assert "went on" in done.stdout
