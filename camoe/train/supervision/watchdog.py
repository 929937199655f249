"""Ends a worker that waits too long, and says for whom it waited.

A worker whose peer is stuck would wait for ever, silently: Horovod's own stall check never fires over Gloo. All workers
go through the same steps, so the ones behind are those that the others wait for. Each writes how far it is into a
folder that all of them see.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

from camoe.stream.planning.world import World
from camoe.train.supervision.sentinel import Sentinel
from camoe.train.supervision.states import State, States

EXIT_CODE = 75
POLLS_PER_TIMEOUT = 20
# The longest time between two looks, and so the age of what a worker that still runs has written about itself.
LONGEST_POLL_S = 5.0
# A worker that writes nothing for this share of the timeout is gone; the others are looked at from twice this share on.
SILENT_SHARE = 0.25


class Watchdog:
    """Ends the process when it makes no progress for `timeout_s` seconds and waits for none that does.

    Every worker of `world` calls `beat` at the same points, so the number of beats says how far it is. A worker that
    others wait for while it makes progress, with `beat` or `alive`, is waited for. So a job whose worker hangs or is
    gone ends `timeout_s`, and a twentieth of it or `longest_poll_s`, after that worker's last sign of progress or the
    last one of those that wait for it. `folder` and `timeout_s` are the same for all workers. Where `folder` hangs, as
    that of a dead NFS does, the others cannot be looked at; then a worker ends when it has made no progress for
    `timeout_s` and neither has the watch. A `Sentinel` ends a process that cannot do this itself, alone as it may be, a
    tenth of `timeout_s` later.
    """

    def __init__(self, world: World, timeout_s: float, folder: Path, longest_poll_s: float = LONGEST_POLL_S) -> None:
        self._rank = world.rank
        self._timeout_s = timeout_s
        self._poll_s = min(timeout_s / POLLS_PER_TIMEOUT, longest_poll_s)
        self._folder = folder
        self._states = States(folder, world)
        self._beats = 0
        self._doing = "starting"
        self._since = time.monotonic()
        self._writes = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")
        self._telling = threading.Thread(target=self._tell, daemon=True, name="watchdog-tells")

    def beat(self, doing: str) -> None:
        """The worker is alive and now does `doing`."""
        self._beats, self._doing, self._since = self._beats + 1, doing, time.monotonic()

    def alive(self, doing: str) -> None:
        """As `beat`, for progress that not all workers make equally often, such as files of their own."""
        self._doing, self._since = doing, time.monotonic()

    def note(self, text: str) -> None:
        """Add to what the worker says it does, and say it; this is no sign of progress."""
        self._doing = f"{self._doing.split(' (')[0]} ({text})"
        print(f"train: {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> Watchdog:
        self._since = time.monotonic()
        self._sentinel = Sentinel(self._rank, self._timeout_s, self._states.reason)
        self._thread.start()
        self._telling.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._telling.join()
        self._sentinel.close()
        # Of a worker that failed it stays: it says where.
        if kind is None:
            self._states.end()

    def _watch(self) -> None:
        while True:
            self._writes += 1
            waited_s = time.monotonic() - self._since
            self._states.write(State(self._beats, self._doing, round(waited_s, 3), self._writes))
            if waited_s > 2 * SILENT_SHARE * self._timeout_s:
                self._states.look()
            verdict = self._verdict() if waited_s > self._timeout_s else None
            if verdict is not None:
                waited = self._waited(verdict)
                self._states.explain(waited)
                self._end(waited)
            if self._stopped.wait(self._poll_s):
                return

    def _tell(self) -> None:
        """Let the sentinel know that the process runs. It touches no disk, which may hang while training goes on."""
        seen, rounds = None, 0
        # Rounds are counted, not seconds: time for which the process was stopped is not held against the disk.
        while not self._stopped.wait(self._poll_s):
            now = self._writes, self._since
            seen, rounds = now, rounds + 1 if now == seen else 0
            if rounds * self._poll_s > self._timeout_s:
                self._end(self._waited(f"{self._folder} does not answer, so nothing is known of the others"))
            # A sentinel that somebody ended costs what only it can see.
            with contextlib.suppress(OSError):
                self._sentinel.say(self._doing)

    def _waited(self, verdict: str) -> str:
        return f"worker {self._rank} waited more than {self._timeout_s:g} s at {self._doing}: {verdict}"

    @staticmethod
    def _end(waited: str) -> None:
        try:
            print(f"error: {waited}; look at the workers' last lines in the log", file=sys.stderr, flush=True)
        finally:  # Also where nobody reads any more.
            os._exit(EXIT_CODE)

    def _verdict(self) -> str | None:
        """For whom this worker has waited too long; None while a worker that is not as far makes progress."""
        late, waits = [], False
        for other in self._states.others():
            state = other.state
            gone = other.silent_s > SILENT_SHARE * self._timeout_s
            behind = state is None or state.beats < self._beats
            if gone or (behind and state is not None and state.waited_s > self._timeout_s):
                place = "has not begun" if state is None else f"at {state.doing}"
                silence = f", silent for {other.silent_s:.0f} s" if gone else ""
                late.append(f"worker {other.rank} ({place}{silence})")
            elif behind:
                waits = True
        if late:
            return f"it waits for {', '.join(late)}"
        return None if waits else "no worker is behind it"
