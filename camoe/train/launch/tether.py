"""Ends a process that would outlive the one that started it, as a launcher and its workers would a killed job."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# It waits until its standard input closes, which the system does when the process that holds the other end is gone.
# A signal for all of a terminal's processes is not meant for it.
WAIT_AND_END = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
sys.stdin.buffer.read()
try:
    os.kill(int(sys.argv[1]), signal.SIGTERM)
except ProcessLookupError:
    pass
"""


@contextmanager
def tethered(process: subprocess.Popen[str]) -> Iterator[None]:
    """Send `process` SIGTERM once this process is gone while the block runs."""
    # Isolated: neither the environment nor the working folder can make it another program.
    command = [sys.executable, "-I", "-c", WAIT_AND_END, str(process.pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as watcher:
        try:
            yield
        finally:
            # Before `process` is waited for: its number could be another's then.
            watcher.kill()
