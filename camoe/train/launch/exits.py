"""The exits of a run's workers, from their messages and from what Horovod's launcher says of them."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from camoe.contracts.errors import TrainingError
from camoe.train.launch.attempts import LostWorkersError
from camoe.train.launch.lines import OutputLine
from camoe.train.launch.silence import Silence
from camoe.train.supervision.heartbeats import read_heartbeat
from camoe.train.supervision.messages import Ending, Explained

# The last line of a traceback.
EXCEPTION_LINE = re.compile(r"^[\w.]*(Error|Exception)(: |$)")
# What Horovod says in a worker whose peer is gone: it is not the one that failed.
BEREFT_LINE = re.compile(r"HorovodInternalError|instance of 'gloo::")
# Horovod's launcher names each process that ended badly. After the first it ends the others, with SIGTERM.
ENDED_LINE = re.compile(r"^Process (?P<rank>\d+) exit with status code (?P<code>-?\d+)\.")
# Inside Spark it names only the one that ended first; it knows no code where the executor is gone with it.
FIRST_ENDED = re.compile(r"Process name: (?P<rank>\d+)\s+Exit code: (?P<code>-?\d+|None)")


@dataclass
class WorkerExits:
    """Collects how workers end."""

    endings: list[Ending | Silence] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)
    last_exception: dict[int, str] = field(default_factory=dict)
    bereft: set[int] = field(default_factory=set)
    codes: dict[int, int] = field(default_factory=dict)

    def note(self, line: OutputLine) -> None:
        """Take note of one line of the launcher's output."""
        if isinstance(line.message, Ending):
            self.endings.append(line.message)
        elif line.rank is None:
            self._note_launcher(line.text)
        elif EXCEPTION_LINE.match(line.text) or BEREFT_LINE.search(line.text):
            self._note_exception(line.rank, line.text)

    def note_silence(self, silence: Silence) -> None:
        """Take note of workers that are ended for their silence; how one has ended before says more."""
        if not self.codes:
            self.endings.append(silence)

    def _note_launcher(self, text: str) -> None:
        ended = ENDED_LINE.match(text)
        if ended:
            self.codes[int(ended["rank"])] = int(ended["code"])
        if EXCEPTION_LINE.match(text):
            self.exceptions.append(text)

    def _note_exception(self, rank: int, text: str) -> None:
        if EXCEPTION_LINE.match(text):
            self.exceptions.append(text)
        if BEREFT_LINE.search(text):
            self.bereft.add(rank)
        else:
            self.last_exception[rank] = text

    def error(self, code: int, log: Path, folder: Path) -> TrainingError:
        """Return the error of a run that ended with `code`; `folder` has the workers' heartbeats."""
        tail = f"(training ended with code {code}; all output is in {log})"
        # What was told later follows from it: who fails takes the others down, or leaves them waiting.
        ending = next(iter(self.endings), None)
        if isinstance(ending, Explained):
            return TrainingError(f"{ending.reason} {tail}")
        if ending is not None:
            return LostWorkersError(f"{ending.reason} {tail}", ending.lost)
        rank = self._first_to_fail()
        if rank is None:
            return TrainingError(f"{next(iter(self.exceptions), 'no worker said why')} {tail}")
        heartbeat = read_heartbeat(folder, rank)
        place = f", last seen at {heartbeat.phase}" if heartbeat else ""
        return LostWorkersError(f"worker {rank} {self._fate(rank)}{place} {tail}", frozenset({rank}))

    def _first_to_fail(self) -> int | None:
        """Return who brought the others down: none of those that miss a peer, or that the launcher ended."""
        own = [rank for rank in self.codes if rank not in self.bereft]
        # The launcher ends the others once the first has ended, so the first one's SIGTERM came from elsewhere.
        first = next(iter(self.codes), None)
        by_itself = [
            rank
            for rank in own
            if rank == first or rank in self.last_exception or _signal(self.codes[rank]) != signal.SIGTERM
        ]
        return next(iter([*by_itself, *own, *self.codes]), None)

    def _fate(self, rank: int) -> str:
        number, exception = _signal(self.codes[rank]), self.last_exception.get(rank)
        if number == signal.SIGALRM:
            return (
                "ended itself, as it made no progress and could not tell for whom it waits: it was stuck in native "
                "code, or its folder does not answer; the log has the stack of each of its threads"
            )
        if number is not None and (exception is None or number != signal.SIGTERM):
            return f"was killed by {number.name}"
        return f"ended with code {self.codes[rank]}" if exception is None else f"failed with {exception}"


def spark_error(text: str, exits: WorkerExits, endings: Iterable[Ending], log: Path, folder: Path) -> TrainingError:
    """Return the error of a run inside Spark that Horovod ended with `text`, given `exits` of the output so far.

    `endings` are those that workers left in files: their last lines may still be on their way when Horovod tells that
    one has ended.
    """
    first = FIRST_ENDED.search(text)
    if first is None:
        return TrainingError(
            f"training inside Spark failed: {' '.join(text.split())} (the workers' output is in {log})"
        )
    if first["code"] == "None":
        rank = int(first["rank"])
        return LostWorkersError(
            f"worker {rank} is gone with its executor, as Spark's page and the executor's log tell (all output of "
            f"workers is in {log})",
            frozenset({rank}),
        )
    code = int(first["code"])
    exits.codes = {int(first["rank"]): code}
    exits.endings = [*endings, *exits.endings]
    return exits.error(code, log, folder)


def _signal(code: int) -> signal.Signals | None:
    """Return the signal that an exit code stands for: negative, or 128 more in a shell."""
    number = -code if code < 0 else code - 128
    return signal.Signals(number) if number in set(signal.Signals) else None
