"""What the output of Horovod's launcher says about how a run ended."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from camoe.contracts.errors import TrainingError
from camoe.train.launch.attempts import LostWorkersError
from camoe.train.supervision.messages import BEGINS_LINE, LATE_WORKER, WAITED_LINE
from camoe.train.supervision.states import read_reasons, read_state

WORKER_LINE = re.compile(r"^\[(?P<rank>\d+)\]<(?P<stream>stdout|stderr)>:(?P<text>.*)$")
ERROR_LINE = re.compile(r"^(error: |[\w.]*(Error|Exception)(: |$))")
# What Horovod says in a worker whose peer is gone: it is not the one that failed.
BEREFT_LINE = re.compile(r"HorovodInternalError|instance of 'gloo::")
# Horovod's launcher names each process that ended badly. After the first it ends the others, with SIGTERM.
ENDED_LINE = re.compile(r"^Process (?P<rank>\d+) exit with status code (?P<code>-?\d+)\.")
# Inside Spark it names only the one that ended first.
FIRST_ENDED = re.compile(r"Process name: (?P<rank>\d+)\s+Exit code: (?P<code>-?\d+)")


@dataclass
class Outcome:
    """Collects the telling lines of a run. `begun` is set once a worker says that it is watched."""

    errors: list[str] = field(default_factory=list)
    said: dict[int, str] = field(default_factory=dict)
    bereft: set[int] = field(default_factory=set)
    ended: dict[int, int] = field(default_factory=dict)
    begun: Event = field(default_factory=Event)

    def note(self, line: str) -> None:
        """Take note of one line of the launcher's output."""
        found = WORKER_LINE.match(line)
        text = found["text"] if found else line
        if found and BEGINS_LINE.match(text):
            self.begun.set()
        if ERROR_LINE.match(text):
            self.errors.append(text)
        if found and BEREFT_LINE.search(text):
            self.bereft.add(int(found["rank"]))
        elif found and ERROR_LINE.match(text):
            self.said[int(found["rank"])] = text
        ended = ENDED_LINE.match(line)
        if ended:
            self.ended[int(ended["rank"])] = int(ended["code"])

    def error(self, code: int, log: Path, states: Path) -> TrainingError:
        """The error of a run that ended with `code`; `states` is where the workers say how far they are."""
        end = f"(training ended with code {code}; all output is in {log})"
        # What was said later follows from it: who fails takes the others down, or leaves them waiting.
        explained = next((line for line in self.errors if line.startswith("error: ")), None)
        waited = WAITED_LINE.match(explained) if explained else None
        if waited is not None:
            late = frozenset(int(found["rank"]) for found in LATE_WORKER.finditer(waited.string))
            # One that waits for no other worker hangs itself.
            lost = late or frozenset({int(waited["rank"])})
            return LostWorkersError(f"{waited.string.removeprefix('error: ')} {end}", lost)
        if explained is not None:
            return TrainingError(f"{explained.removeprefix('error: ')} {end}")
        rank = self._first_to_fail()
        if rank is None:
            return TrainingError(f"{next(iter(self.errors), 'no worker said why')} {end}")
        state = read_state(states, rank)
        place = f", last seen at {state.doing}" if state else ""
        return LostWorkersError(f"worker {rank} {self._fate(rank)}{place} {end}", frozenset({rank}))

    def _first_to_fail(self) -> int | None:
        """The worker that brought the others down: none of those that miss a peer, or that the launcher ended."""
        own = [rank for rank in self.ended if rank not in self.bereft]
        # The launcher ends the others once the first has ended, so the first one's SIGTERM came from elsewhere.
        first = next(iter(self.ended), None)
        by_itself = [
            rank for rank in own if rank == first or rank in self.said or _signal(self.ended[rank]) != signal.SIGTERM
        ]
        return next(iter([*by_itself, *own, *self.ended]), None)

    def _fate(self, rank: int) -> str:
        number = _signal(self.ended[rank])
        if number is not None and (rank not in self.said or number != signal.SIGTERM):
            return f"was killed by {number.name}"
        return f"failed with {self.said[rank]}" if rank in self.said else f"ended with code {self.ended[rank]}"


def spark_outcome(said: str, log: Path) -> TrainingError:
    """The error of a run inside Spark that Horovod ended with what it `said`; the workers' lines are in `log`."""
    first = FIRST_ENDED.search(said)
    if first is None:
        reason = " ".join(said.split())
        return TrainingError(f"training inside Spark failed: {reason} (the workers' output is in {log})")
    outcome = Outcome(ended={int(first["rank"]): int(first["code"])})
    states = log.parent / "workers"
    # The workers' last lines may still be on their way when Horovod tells that one has ended.
    for rank, reason in read_reasons(states).items():
        outcome.note(f"[{rank}]<stderr>:error: {reason}")
    with log.open() as lines:
        for line in lines:
            outcome.note(line.rstrip("\n"))
    return outcome.error(int(first["code"]), log, states)


def _signal(code: int) -> signal.Signals | None:
    """The signal that an exit code stands for: negative, or 128 more in a shell."""
    number = -code if code < 0 else code - 128
    return signal.Signals(number) if number in set(signal.Signals) else None


def first_workers_line(line: str) -> str | None:
    """What the first worker said to the user in `line`, if it did."""
    found = WORKER_LINE.match(line)
    said = found and found["rank"] == "0" and found["stream"] == "stdout" and found["text"].startswith("train:")
    return found["text"] if found and said else None
