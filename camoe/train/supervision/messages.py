"""Messages of the workers to their launcher. As data they are JSON; `line` is what people read.

A message is a line of a worker's output, or a file beside the heartbeats. Output needs no disk, which may hang or be
full. A worker whose launcher takes no messages prints for people.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, TextIO

from pydantic import Field, TypeAdapter, ValidationError

from camoe.contracts.files import write_text
from camoe.report import text

# Set in the environment of workers whose launcher takes messages: each is a line that begins so, and then is JSON.
MESSAGES = "CAMOE_MESSAGES"
PREFIX = "camoe-message: "
ENDING = "-end.json"


@dataclass(frozen=True)
class Runs:
    """Worker `rank` runs, and is at `phase`; None once nothing is left to do. People need not read it."""

    rank: int
    phase: str | None
    kind: Literal["runs"] = "runs"

    @property
    def line(self) -> str:
        """The line for people."""
        return ""


@dataclass(frozen=True)
class StepProgress:
    """Progress of training: `step` of `steps` of an epoch, both from 1, speed, time left of the whole training.

    `figures` is a text of what else is new.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    rows_per_s: float
    left_s: float
    figures: str
    kind: Literal["progress"] = "progress"

    @property
    def line(self) -> str:
        """The line for people."""
        return "  ".join(
            (f"train: {self.place}", self.speed, f"{self.left} left", f"loss {self.loss:.4f}", self.figures)
        )

    @property
    def place(self) -> str:
        """The place for people."""
        return f"epoch {self.epoch}  step {self.step:,}/{self.steps:,}"

    @property
    def speed(self) -> str:
        """The speed for people."""
        return f"{self.rows_per_s:,.0f} rows/s"

    @property
    def left(self) -> str:
        """The time left for people."""
        return text.span(self.left_s)


@dataclass(frozen=True)
class LateWorker:
    """A worker that others wait for: its phase, None before it began, and for how long it is silent, None if not."""

    rank: int
    phase: str | None
    silent_s: float | None

    def __str__(self) -> str:
        place = "has not begun" if self.phase is None else f"at {self.phase}"
        silence = "" if self.silent_s is None else f", silent for {self.silent_s:.0f} s"
        return f"worker {self.rank} ({place}{silence})"


@dataclass(frozen=True)
class Stalled:
    """Worker `rank` ended itself after `timeout_s` without progress in `phase`: it waited for the `late` workers."""

    rank: int
    timeout_s: float
    phase: str
    late: tuple[LateWorker, ...] = ()
    kind: Literal["stalled"] = "stalled"

    @property
    def reason(self) -> str:
        """Why the worker ended, for people."""
        waited = f"worker {self.rank} waited more than {self.timeout_s:g} s at {self.phase}"
        cause = f"it waits for {', '.join(map(str, self.late))}" if self.late else "no worker is behind it"
        return f"{waited}: {cause}; look at the workers' last lines in the log"

    @property
    def lost(self) -> frozenset[int]:
        """The workers that a next attempt goes without; one that waits for no other hangs itself."""
        return frozenset(worker.rank for worker in self.late) or frozenset({self.rank})

    @property
    def line(self) -> str:
        """The line for people."""
        return f"error: {self.reason}"


@dataclass(frozen=True)
class Explained:
    """Worker `rank` ended with an error that says what is wrong."""

    rank: int
    reason: str
    kind: Literal["explained"] = "explained"

    @property
    def line(self) -> str:
        """The line for people."""
        return f"error: {self.reason}"


Ending = Stalled | Explained
Message = Runs | StepProgress | Ending
_MESSAGE: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])
_ENDING: TypeAdapter[Ending] = TypeAdapter(Annotated[Ending, Field(discriminator="kind")])


def send(message: Message, stream: TextIO) -> None:
    """Write `message` to `stream`, as data if the launcher takes messages."""
    line = f"{PREFIX}{json.dumps(asdict(message))}" if MESSAGES in os.environ else message.line
    if line:
        # In one piece, as other threads print too.
        stream.write(f"{line}\n")
        stream.flush()


def parse_message(line: str) -> Message | None:
    """Return the message that `line` of a worker's output is, None for any other line."""
    if not line.startswith(PREFIX):
        return None
    try:
        return _MESSAGE.validate_json(line.removeprefix(PREFIX))
    except ValidationError:  # Broken by what another thread has printed meanwhile.
        return None


def ending_file(folder: Path, rank: int) -> Path:
    """Return where worker `rank` leaves why it ended, for a launcher that cannot wait for all of its output."""
    return folder / f"worker-{rank}{ENDING}"


def leave_ending(folder: Path, ending: Ending) -> None:
    """Leave `ending` there."""
    with contextlib.suppress(OSError):
        write_text(ending_file(folder, ending.rank), json.dumps(asdict(ending)))


def read_endings(folder: Path) -> Iterator[Ending]:
    """Yield why workers ended, by their files' names; what cannot be read is left out."""
    for path in sorted(folder.glob(f"worker-*{ENDING}")):
        with contextlib.suppress(OSError, ValidationError):
            yield _ENDING.validate_json(path.read_bytes())
