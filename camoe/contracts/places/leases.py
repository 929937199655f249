"""Leases: files that name who holds something, and that the holder renews. One not renewed for a time has no holder.

A process that this machine can ask needs no time: it runs, or it does not. Of one elsewhere, in a container that is
gone or on another host, only its lease tells. Ages are told by the clock of the file system, or of the object store,
that holds the leases, which is one for all.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event

from camoe.contracts.config_file import Section
from camoe.contracts.errors import CamoeError
from camoe.contracts.places.beside import beside
from camoe.contracts.places.lease_files import lease_file
from camoe.contracts.places.store import is_address

# A holder renews its lease so often, and has lost it when it did not for so long.
RENEW_S, LEASE_S = 15.0, 60.0
POLL_S = 0.5
TRIES = 10

RUNNING = "running"
ENDED = "ended"
ELSEWHERE = "on another host"


class Holder(Section):
    """A process, and since when it holds what it holds.

    `place` is where its number `pid` means something, a machine since its start and a container; `started` is the time
    of the machine at which it started, as numbers are given out again.
    """

    host: str
    pid: int
    since: datetime
    place: str = ""
    started: int = 0

    def state(self, silent_s: float = 0.0) -> str:
        """Return `RUNNING` or `ENDED`; `ELSEWHERE` of one that is not here and has been silent for `silent_s` only."""
        if self.place == _place():
            return RUNNING if _started(self.pid) == self.started else ENDED
        return ENDED if silent_s > LEASE_S else ELSEWHERE

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since:%Y-%m-%d %H:%M:%S} UTC"


def this_process() -> Holder:
    """Return this process as a holder from now on."""
    pid = os.getpid()
    now = datetime.now(UTC)
    return Holder(host=socket.gethostname(), pid=pid, since=now, place=_place(), started=_started(pid) or 0)


@contextmanager
def leased(lease: Path, what: str, refused: type[CamoeError]) -> Iterator[None]:
    """Hold `lease` while the block runs, so that nobody else does; `what` names who may be one only.

    The lease of a process that has ended is taken over. For one elsewhere this waits until it is renewed, or ends. A
    process that was away for so long that another has taken its lease over ends.

    Raises:
        CamoeError: another process holds it; of the type `refused`.
    """
    mine = this_process().model_dump_json().encode()
    above = () if is_address(lease) else (lease.parent, lease.parent.parent)
    made = [folder for folder in above if not folder.exists()]
    _take(lease, mine, what, refused)
    try:
        with beside(partial(_renew, lease, mine, again=is_address(lease)), f"renews {lease.name}"):
            yield
    finally:
        # One that cannot be removed ends with its process, or its time.
        with suppress(OSError, CamoeError):
            if lease_file(lease).seen().content == mine:
                lease.unlink(missing_ok=True)
        for folder in made:
            # A job that writes nothing leaves nothing; a folder that is in use is not empty.
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def renewed(lease: Path, mine: bytes) -> Iterator[None]:
    """Renew `lease`, which holds `mine`, while the block runs; end this process when another has taken it over."""
    with beside(partial(_renew, lease, mine), f"renews {lease.name}"):
        yield


def holder_of(lease: Path) -> tuple[Holder | None, str]:
    """Return the holder of `lease` and its state; None where it cannot be read, as while it is being written.

    Raises:
        FileNotFoundError: nobody holds it.
    """
    file = lease_file(lease)
    seen, silent_s = file.seen(), file.silent_s()
    try:
        known = json.loads(seen.content)
        holder = Holder(**{name: known[name] for name in Holder.model_fields if name in known})
    except (ValueError, TypeError):
        return None, ENDED if silent_s > LEASE_S else ELSEWHERE
    return holder, holder.state(silent_s)


def held_elsewhere(lease: Path) -> bool:
    """Return whether another process than this one holds `lease`, as after this one was away for long."""
    try:
        holder, _ = holder_of(lease)
    except FileNotFoundError:
        return False
    mine = this_process()
    return holder is None or (holder.place, holder.pid, holder.started) != (mine.place, mine.pid, mine.started)


def _take(lease: Path, mine: bytes, what: str, refused: type[CamoeError]) -> None:
    first, began, file = None, time.monotonic(), lease_file(lease)
    for tries in range(TRIES + round(2 * LEASE_S / POLL_S)):
        # Lease and folder may go again between any two of these, with the one who holds it.
        with suppress(FileNotFoundError):
            if file.create(mine):
                return
            found = file.seen()
            first = first or found
            holder, state = holder_of(lease)
            if state == RUNNING or first != found:
                raise refused(_in_use(lease, what, holder))
            # A clock that was set back does not tell of silence; that nothing was heard all the while does.
            if (state == ENDED or time.monotonic() - began > LEASE_S) and file.take_over(mine, first):
                return
            if tries == 0 and state == ELSEWHERE:
                print(f"waits up to {LEASE_S:.0f} s for a sign of life: {_in_use(lease, what, holder)}", flush=True)
        time.sleep(POLL_S if first else 0)
    raise refused(f"{lease} comes and goes: several start at once; keep one {what}")


def _in_use(lease: Path, what: str, holder: Holder | None) -> str:
    who = holder or "just starting"
    return f"another {what} is at work ({who}); wait for its end, or end it; its lease is {lease}"


def _renew(lease: Path, mine: bytes, over: Event, *, again: bool = False) -> None:
    """Renew `lease` until it is `over`; where it is gone from a store, make it `again`.

    Its former holder may delete it late, when the answer to the first attempt was lost.
    """
    file = lease_file(lease)
    while not over.wait(RENEW_S):
        # What does not answer for a moment costs a renewal, not the job.
        with suppress(OSError, CamoeError):
            if again and not lease.is_file():
                file.create(mine)
            found = file.seen()
            if found.content == mine:
                file.renew(found)
            elif found.content:
                said = f"error: another process has taken {lease} over meanwhile; this one ends"
                print(said, file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGTERM)
                return


def _place() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> int | None:
    """Return the machine's time at which process `pid` started, None where there is none or only its remains."""
    try:
        # After the name, which may hold anything: state, ..., and as the 22nd of all the start.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
