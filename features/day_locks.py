"""The days that a run is about to replace: no other run looks at them or replaces them before it has.

The locks are the kernel's, on bytes of one empty file, one byte a day. They go with the process that holds them, so a
killed run leaves none. They hold between the processes of a host, and between hosts whose shared folder carries locks.
"""

from __future__ import annotations

import fcntl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import BinaryIO

from camoe.contracts.days import day_list
from camoe.contracts.runs import RunError
from features.waiting import LONGEST_WAIT_S, patiently

NAME = ".days"


@contextmanager
def days_alone(runs: Path, days: Collection[date] | None, longest_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Let no other process replace one of `days` (None: any day) while the block runs; waits for one that does.

    `runs` is the folder of the run records.

    Raises:
        RunError: another process still holds one of them after `longest_s` seconds.
    """
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / NAME).open("ab") as file:
        patiently(lambda: _lock(file, days), "a run that replaces the same days", longest_s)
        yield


def _lock(file: BinaryIO, days: Collection[date] | None) -> None:
    """Take all of them or, so that two runs never wait for each other, none."""
    # From the first byte, and of no length: as far as a file can ever reach.
    ranges = [(0, 0)] if days is None else [(day.toordinal(), 1) for day in days]
    try:
        for first, length in ranges:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, length, first)
    except BlockingIOError:
        fcntl.lockf(file, fcntl.LOCK_UN)
        which = "a day" if days is None else f"one of {day_list(days)}"
        raise RunError(
            f"another run holds {which} in {file.name}; wait for its end, or end it when it hangs, and run this again"
        ) from None
