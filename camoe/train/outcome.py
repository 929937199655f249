"""What the output of Horovod's launcher says about how a run ended."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import dataclass, field
from pathlib import Path

from camoe.contracts.errors import TrainingError
from camoe.train.retries import LostWorkersError

WORKER_LINE = re.compile(r"^\[(?P<rank>\d+)\]<(?P<stream>stdout|stderr)>:(?P<text>.*)$")
ERROR_LINE = re.compile(r"^(error|[\w.]*(Error|Exception)): ")
# Horovod's launcher names each process that ended badly; it ends the others itself, with SIGTERM.
ENDED_LINE = re.compile(r"^Process (?P<rank>\d+) exit with status code (?P<code>-?\d+)\.")
WAITED_LINE = re.compile(r"^error: worker \d+ waited more than ")
LATE_WORKER = re.compile(r"(?:waits for|,) worker (?P<rank>\d+) \(at ")


@dataclass
class Outcome:
    """Collects the telling lines of a run."""

    errors: list[str] = field(default_factory=list)
    killed: dict[int, int] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Take note of one line, without the mark of the worker that said it."""
        if ERROR_LINE.match(text):
            self.errors.append(text)
        ended = ENDED_LINE.match(text)
        if ended:
            number = _signal(int(ended["code"]))
            if number not in (None, signal.SIGTERM):
                self.killed[int(ended["rank"])] = number

    def error(self, code: int, log: Path, states: Path) -> TrainingError:
        """The error of a run that ended with `code`; `states` is where the workers say how far they are."""
        end = f"(training ended with code {code}; all output is in {log})"
        waited = next((line for line in self.errors if WAITED_LINE.match(line)), None)
        if waited is not None:
            late = frozenset(int(found["rank"]) for found in LATE_WORKER.finditer(waited))
            return LostWorkersError(f"{waited.removeprefix('error: ')} {end}", late)
        explained = [line.removeprefix("error: ") for line in self.errors if line.startswith("error: ")]
        if self.killed and not explained:
            rank, number = next(iter(self.killed.items()))
            name = signal.Signals(number).name
            return LostWorkersError(
                f"worker {rank} was killed by {name}{_place(states, rank)} {end}", frozenset({rank})
            )
        cause = next(iter(explained or self.errors), "no worker said why")
        return TrainingError(f"{cause} {end}")


def _signal(code: int) -> signal.Signals | None:
    """The signal that an exit code stands for: negative, or 128 more in a shell."""
    number = -code if code < 0 else code - 128
    return signal.Signals(number) if number in set(signal.Signals) else None


def _place(states: Path, rank: int) -> str:
    try:
        return f" at {json.loads((states / f'worker-{rank}.json').read_text())['doing']}"
    except (OSError, ValueError, KeyError):
        return ""


def first_workers_line(line: str) -> str | None:
    """What the first worker said to the user in `line`, if it did."""
    found = WORKER_LINE.match(line)
    said = found and found["rank"] == "0" and found["stream"] == "stdout" and found["text"].startswith("train:")
    return found["text"] if found and said else None


def spoken(line: str) -> str:
    """`line` without the mark of the worker that said it."""
    found = WORKER_LINE.match(line)
    return found["text"] if found else line
