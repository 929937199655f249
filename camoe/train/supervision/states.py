"""How far each worker is, as it writes itself into a folder that all of them see."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from camoe.contracts.files import write_json, write_text
from camoe.stream.planning.world import World

REASON = "-reason.txt"


@dataclass(frozen=True)
class State:
    """What a worker does, after how many beats, and for how long without a sign of progress. `writes` counts states."""

    beats: int
    doing: str
    waited_s: float
    writes: int


@dataclass(frozen=True)
class Seen:
    """The last state of another worker, None where there is none, and for how long it has not changed."""

    rank: int
    state: State | None
    silent_s: float


class States:
    """The states of the workers of `world` in `folder`.

    Whether another worker is silent is told by looking again and again: the clocks of two hosts need not agree.
    """

    def __init__(self, folder: Path, world: World) -> None:
        self._folder = folder
        self._world = world
        self._known: dict[int, tuple[State | None, float]] = {}

    def write(self, state: State) -> None:
        """Write this worker's own state."""
        # A folder that cannot be written costs the other workers' names, not the watch.
        with contextlib.suppress(OSError):
            write_json(_file(self._folder, self._world.rank), asdict(state))

    def look(self) -> None:
        """See what the others have written since the last look."""
        for rank in range(self._world.size):
            state = read_state(self._folder, rank)
            if rank != self._world.rank and (rank not in self._known or self._known[rank][0] != state):
                self._known[rank] = state, time.monotonic()

    def others(self) -> Iterator[Seen]:
        """What the looks have seen of each other worker, by rank."""
        for rank, (state, since) in sorted(self._known.items()):
            yield Seen(rank, state, time.monotonic() - since)

    @property
    def reason(self) -> Path:
        """Where this worker leaves why it ends, for a launcher that cannot wait for all of its output."""
        return self._folder / f"worker-{self._world.rank}{REASON}"

    def explain(self, reason: str) -> None:
        """Leave `reason` there."""
        with contextlib.suppress(OSError):
            write_text(self.reason, reason)

    def end(self) -> None:
        """Take this worker's own state away: it is through."""
        with contextlib.suppress(OSError):
            _file(self._folder, self._world.rank).unlink()


def read_state(folder: Path, rank: int) -> State | None:
    """The last state that the worker `rank` wrote, None if it has not begun or is through."""
    try:
        return State(**json.loads(_file(folder, rank).read_text()))
    except (OSError, ValueError, TypeError):  # What no worker of this version wrote is no state either.
        return None


def read_reasons(folder: Path) -> dict[int, str]:
    """Why workers ended, by rank, each in one line; what cannot be read is left out."""
    found = {}
    for path in sorted(folder.glob(f"worker-*{REASON}")):
        with contextlib.suppress(OSError):
            found[int(path.name.removeprefix("worker-").removesuffix(REASON))] = " ".join(path.read_text().split())
    return found


def clear_states(folder: Path) -> None:
    """Take away what the workers of an earlier attempt have left, before any of the next one has begun."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _file(folder: Path, rank: int) -> Path:
    return folder / f"worker-{rank}.json"
