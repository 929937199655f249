"""The lines that Horovod's launcher gives out: the workers' own, with their ranks, and what it says itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from camoe.train.supervision.messages import Message, StepProgress, parse_message

WORKER_LINE = re.compile(r"^\[(?P<rank>\d+)\]<(?P<stream>stdout|stderr)>:(?P<text>.*)$")
# What a worker prints for whoever started the run.
FOR_USER = "train:"


@dataclass(frozen=True)
class OutputLine:
    """A line, as people read it, and the message that it is; `rank` and `stream` are None for the launcher's own."""

    text: str
    message: Message | None = None
    rank: int | None = None
    stream: str | None = None

    @property
    def logged(self) -> str:
        """The line as the log has it."""
        return self.text if self.rank is None else f"[{self.rank}]<{self.stream}>:{self.text}"

    @property
    def for_user(self) -> str | StepProgress | None:
        """Text or progress of rank 0 for the user in this line, None where there is none."""
        if self.rank != 0 or self.stream != "stdout" or not self.text.startswith(FOR_USER):
            return None
        return self.message if isinstance(self.message, StepProgress) else self.text


def parse_line(line: str) -> OutputLine:
    """Parse a `line` of the launcher's output, without its end."""
    found = WORKER_LINE.match(line)
    return worker_line(found["text"], int(found["rank"]), found["stream"]) if found else OutputLine(line)


def worker_line(text: str, rank: int, stream: str) -> OutputLine:
    """Parse `text`, a line of `stream` of worker `rank`."""
    message = parse_message(text)
    return OutputLine(message.line if message else text, message, rank, stream)
