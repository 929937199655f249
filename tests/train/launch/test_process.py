"""A process that ends with the one that starts it, and whose output is read line by line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from camoe.train.launch.process import lines, started
from tests.waiting import wait_until

STARTS = """
import os
from camoe.train.launch.process import lines, started
with started(["sleep", "60"], os.environ) as (process, output):
    print(process.pid, flush=True)
    list(lines(output, 1))
"""


def runs(pid):
    """Tell whether the process is there, and none of another program that got its number."""
    try:
        return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_it_ends_when_the_one_that_started_it_is_killed():
    with subprocess.Popen([sys.executable, "-c", STARTS], stdout=subprocess.PIPE, text=True) as starter:
        pid = int(starter.stdout.readline())
        assert runs(pid)
        starter.kill()
    wait_until(lambda: not runs(pid), 20)


def test_it_ends_when_the_block_fails():
    with pytest.raises(OSError, match="full"), started(["sleep", "60"], os.environ) as (process, _):
        raise OSError("full")
    assert process.poll() is not None


def test_its_lines_come_at_once_and_so_does_that_there_is_none():
    program = "import time; print('one', flush=True); print('', flush=True); time.sleep(2); print('half', end='')"
    with started([sys.executable, "-c", program], os.environ) as (_, output):
        found = list(lines(output, 0.2))
    assert [line for line in found if line is not None] == ["one", "", "half"]
    # While the program sleeps; how long it takes to begin is not known.
    assert found[found.index("") :].count(None) > 3
