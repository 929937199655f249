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
from camoe.train.supervision.heartbeats import Heartbeat, HeartbeatFolder
from camoe.train.supervision.messages import LateWorker, Stalled, ending_file, leave_ending, send
from camoe.train.supervision.sentinel import Sentinel

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

    Up to the first sign of progress a worker that runs counts as one that makes progress, for `start_allowance_s`.
    """

    def __init__(
        self,
        world: World,
        timeout_s: float,
        folder: Path,
        start_allowance_s: float = 0.0,
        longest_poll_s: float = LONGEST_POLL_S,
    ) -> None:
        self._rank = world.rank
        self._timeout_s = timeout_s
        self._poll_s = min(timeout_s / POLLS_PER_TIMEOUT, longest_poll_s)
        self._folder = folder
        self._start_allowance_s = start_allowance_s
        self._heartbeats = HeartbeatFolder(folder, world)
        self._beats = 0
        self._progress_phase = "starting"
        self._note = ""
        self._since = time.monotonic()
        self._writes = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")
        self._feeding = threading.Thread(target=self._feed_sentinel, daemon=True, name="watchdog-feeds-sentinel")

    def beat(self, phase: str) -> None:
        """Tell that the worker is alive and now at `phase`."""
        self._beats += 1
        self.alive(phase)

    def alive(self, phase: str) -> None:
        """Do as `beat` does, for progress that not all workers make equally often, such as files of their own."""
        self._note, self._progress_phase, self._since = "", phase, time.monotonic()

    def note(self, text: str) -> None:
        """Add `text` to the phase until the next one, and print it; this is no sign of progress."""
        self._note = f" ({text})"
        print(f"train: {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> Watchdog:
        self._since = time.monotonic() + self._start_allowance_s
        self._sentinel = Sentinel(self._rank, self._timeout_s, ending_file(self._folder, self._rank))
        self._thread.start()
        self._feeding.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._feeding.join()
        self._sentinel.close()
        # Of a worker that failed it stays: it says where.
        if kind is None:
            self._heartbeats.remove_own()

    @property
    def _phase(self) -> str:
        return f"{self._progress_phase}{self._note}"

    @property
    def _waited_s(self) -> float:
        """Seconds without progress; none within the allowance for the start."""
        return max(0.0, time.monotonic() - self._since)

    def _watch(self) -> None:
        while True:
            self._writes += 1
            waited_s = self._waited_s
            self._heartbeats.write(Heartbeat(self._beats, self._phase, round(waited_s, 3), self._writes))
            if waited_s > 2 * SILENT_SHARE * self._timeout_s:
                self._heartbeats.look()
            stalled = self._stalled() if waited_s > self._timeout_s else None
            if stalled is not None:
                leave_ending(self._folder, stalled)
                self._end(stalled)
            if self._stopped.wait(self._poll_s):
                return

    def _feed_sentinel(self) -> None:
        """Let the sentinel know that the process runs. It touches no disk, which may hang while training goes on."""
        seen, rounds = None, 0
        # Rounds are counted, not seconds: time for which the process was stopped is not held against the disk.
        while not self._stopped.wait(self._poll_s):
            now = self._writes, self._since
            seen, rounds = now, rounds + 1 if now == seen and self._waited_s > 0 else 0
            if rounds * self._poll_s > self._timeout_s:
                self._end(Stalled(self._rank, self._timeout_s, self._phase, hung=str(self._folder)))
            # A sentinel that somebody ended costs what only it can see.
            with contextlib.suppress(OSError):
                self._sentinel.say(self._phase)

    @staticmethod
    def _end(stalled: Stalled) -> None:
        try:
            send(stalled, sys.stderr)
        finally:  # Also where nobody reads any more.
            os._exit(EXIT_CODE)

    def _stalled(self) -> Stalled | None:
        """Return for whom this worker has waited too long; None while a worker that is not as far makes progress."""
        late, waits = [], False
        for peer in self._heartbeats.peers():
            heartbeat = peer.heartbeat
            gone = peer.silent_s > SILENT_SHARE * self._timeout_s
            behind = heartbeat is None or heartbeat.beats < self._beats
            if gone or (behind and heartbeat is not None and heartbeat.waited_s > self._timeout_s):
                phase = None if heartbeat is None else heartbeat.phase
                late.append(LateWorker(peer.rank, phase, peer.silent_s if gone else None))
            elif behind:
                waits = True
        if waits and not late:
            return None
        return Stalled(self._rank, self._timeout_s, self._phase, tuple(late))
