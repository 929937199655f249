"""Locks between runs: on the days that a run is about to replace, and on the making of the training table.

The locks of days are the kernel's, on bytes of one empty file, one byte a day. They go with the process that holds
them, so a killed run leaves none. They hold between the processes of a host, and between hosts whose shared folder
carries locks. A run says once that it waits for another, and gives up after a time.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from typing import BinaryIO

from camoe.contracts.days import day_list
from camoe.contracts.files import RemotePath
from camoe.contracts.runs import RunError
from features.tables.attempt import only_attempt

NAME = ".days"

POLL_S = 1.0
# A run gives up waiting after so long: the lock's holder hangs, or is gone and cannot be asked.
LONGEST_WAIT_S = 3600.0

# A lock beside those of the runs; no run has this name, since it has a space.
MAKING = "first commit"


@contextmanager
def days_alone(runs: Path, days: Collection[date] | None, longest_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Let no other process replace one of `days` (None: any day) while the block runs; waits for one that does.

    `runs` is the folder of the run records. In an object store there are no such locks, and the commit alone tells.

    Raises:
        RunError: another process still holds one of them after `longest_s` seconds.
    """
    if isinstance(runs, RemotePath):
        yield
        return
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / NAME).open("ab") as file:
        patiently(lambda: _lock(file, days), "a run that replaces the same days", longest_s)
        yield


def _lock(file: BinaryIO, days: Collection[date] | None) -> None:
    """Lock all of `days` (None: any day) or, so that two runs never wait for each other, none.

    Raises:
        RunError: another process holds one of them.
    """
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


def patiently(take: Callable[[], object], what: str, longest_s: float) -> None:
    """Call `take` until it raises no `RunError`; `what` names what it waits for.

    Raises:
        RunError: `take` still raises it after `longest_s` seconds.
    """
    began = time.monotonic()
    said = False
    while True:
        try:
            take()
        except RunError as error:
            if time.monotonic() - began >= longest_s:
                raise RunError(f"gave up after {longest_s:,.0f} s waiting for {what}: {error}") from error
            if not said:
                print(f"build_features: waits for {what}: {error}", flush=True)
            said = True
            time.sleep(POLL_S)
        else:
            return


@contextmanager
def making_alone(runs: Path, longest_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Let no other run make the table while the block runs; waits for one that does, and says so.

    `runs` is the folder of the run records.

    Raises:
        RunError: another run still holds the lock after `longest_s` seconds; names its file.
    """
    with ExitStack() as stack:
        patiently(lambda: stack.enter_context(only_attempt(runs, MAKING)), "the run that makes the table", longest_s)
        yield
