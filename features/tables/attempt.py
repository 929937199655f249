"""One attempt of a run at a time: a lock beside the run records, which names its holder.

Two attempts under one run id would take each other's rows of the side tables, and the record, for their own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from camoe.contracts.config_file import Section
from camoe.contracts.files import held
from camoe.contracts.pins import ENDED, RUNNING, process_state
from camoe.contracts.runs import RunError

TRIES = 10


class Attempt(Section):
    """A host's process that works at a run, and since when."""

    host: str
    pid: int
    since: datetime

    def has_ended(self) -> bool:
        """Return whether the process is known to be gone; one of another host never is."""
        return process_state(self.host, self.pid) == ENDED

    def runs_here(self) -> bool:
        """Return whether it is a process of this host, and runs."""
        return process_state(self.host, self.pid) == RUNNING


def lock_of(runs: Path, run_id: str) -> Path:
    """Return the file that one attempt of the run holds."""
    return runs / f".{run_id}.lock"


def read_attempt(lock: Path) -> Attempt | None:
    """Read the holder of `lock`; None when it cannot be read, as while it is being written.

    Raises:
        FileNotFoundError: nobody holds it.
    """
    try:
        return Attempt.model_validate_json(lock.read_bytes())
    except ValidationError:
        return None


@contextmanager
def only_attempt(runs: Path, run_id: str) -> Iterator[None]:
    """Hold the run's lock in the folder `runs` while the block runs; the lock of an ended process is taken over.

    Raises:
        RunError: another attempt holds it, or may do so.
    """
    lock = lock_of(runs, run_id)
    made = [folder for folder in (runs, runs.parent) if not folder.exists()]
    _take(lock)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        for folder in made:
            # A run that writes nothing leaves nothing; a folder that is in use is not empty.
            with suppress(OSError):
                folder.rmdir()


def _take(lock: Path) -> None:
    mine = Attempt(host=socket.gethostname(), pid=os.getpid(), since=datetime.now(UTC)).model_dump_json().encode()
    for _ in range(TRIES):
        # The folder may go again between the two, with a run that made it and has written nothing.
        with suppress(FileNotFoundError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            if not _created(lock, mine):
                _take_over(lock, mine)
            return
    raise RunError(f"{lock} comes and goes: several attempts of its run start at once; keep one")


def _created(lock: Path, mine: bytes) -> bool:
    try:
        with lock.open("xb") as file:
            file.write(mine)
    except FileExistsError:
        return False
    return True


def _take_over(lock: Path, mine: bytes) -> None:
    """Make the lock of an ended process `mine`; of several that try, the first succeeds and the others are refused.

    Raises:
        FileNotFoundError: the lock has gone meanwhile.
        RunError: its process runs, or may do so.
    """
    _require_ended(lock)
    with held(lock):
        _require_ended(lock)
        lock.write_bytes(mine)


def _require_ended(lock: Path) -> None:
    holder = read_attempt(lock)
    if holder is None or not holder.has_ended():
        raise RunError(_in_use(lock, holder))


def _in_use(lock: Path, holder: Attempt | None) -> str:
    if holder is None:
        return f"another attempt of the run is just starting; if none is, remove {lock}"
    who = f"process {holder.pid} on {holder.host}, since {holder.since:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"another attempt of the run is at work ({who}); wait for its end, or, when that process is gone, remove {lock}"
    )
