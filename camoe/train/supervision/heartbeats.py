"""Heartbeats: each worker writes how far it is into a folder that all of them see."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from camoe.contracts.files import write_json
from camoe.stream.planning.world import World
from camoe.train.supervision.running_time import RunningTime


@dataclass(frozen=True)
class Heartbeat:
    """A worker's heartbeat: current phase, beats so far, seconds since progress, writes."""

    beats: int
    phase: str
    waited_s: float
    writes: int


@dataclass(frozen=True)
class PeerHeartbeat:
    """The last heartbeat of another worker, None where there is none, and for how long it has not changed."""

    rank: int
    heartbeat: Heartbeat | None
    silent_s: float


class HeartbeatFolder:
    """The heartbeats of the workers of `world` in `folder`, as one of them writes its own and reads the others'.

    Whether another worker is silent is told by looking again and again: the clocks of two hosts need not agree. `clock`
    is that of the one that looks.
    """

    def __init__(self, folder: Path, world: World, clock: RunningTime) -> None:
        self._folder = folder
        self._world = world
        self._clock = clock
        self._known: dict[int, tuple[Heartbeat | None, float]] = {}

    def write(self, heartbeat: Heartbeat) -> None:
        """Write this worker's own heartbeat."""
        # A folder that cannot be written costs the other workers' names, not the watch.
        with contextlib.suppress(OSError):
            write_json(_file(self._folder, self._world.rank), asdict(heartbeat))

    def look(self) -> None:
        """See what the others have written since the last look."""
        for rank in range(self._world.size):
            heartbeat = read_heartbeat(self._folder, rank)
            if rank != self._world.rank and (rank not in self._known or self._known[rank][0] != heartbeat):
                self._known[rank] = heartbeat, self._clock.now

    def peers(self) -> Iterator[PeerHeartbeat]:
        """Yield what the looks have seen of each other worker, by rank."""
        for rank, (heartbeat, since) in sorted(self._known.items()):
            yield PeerHeartbeat(rank, heartbeat, self._clock.now - since)

    def remove_own(self) -> None:
        """Remove this worker's own heartbeat: it is through."""
        with contextlib.suppress(OSError):
            _file(self._folder, self._world.rank).unlink()


def worker_folder(logs: Path) -> Path:
    """Return the folder under `logs` in which the workers of a run leave their heartbeats and why they ended."""
    return logs / "workers"


def read_heartbeat(folder: Path, rank: int) -> Heartbeat | None:
    """Return the last heartbeat that worker `rank` wrote, None if it has not begun or is through."""
    try:
        return Heartbeat(**json.loads(_file(folder, rank).read_text()))
    except (OSError, ValueError, TypeError):  # What no worker of this version wrote is no heartbeat either.
        return None


def clear(folder: Path) -> None:
    """Remove what the workers of an earlier attempt have left, before any of the next one has begun."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _file(folder: Path, rank: int) -> Path:
    return folder / f"worker-{rank}.json"
