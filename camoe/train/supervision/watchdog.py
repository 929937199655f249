"""Ends a worker that waits too long, and says for whom it waited.

A worker whose peer is stuck would wait for ever, silently: Horovod's own stall check never fires over Gloo. All workers
go through the same steps, so the ones behind are those that the others wait for. Each writes how far it is into a
folder that all of them see.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from pathlib import Path

from camoe.stream.planning.world import World
from camoe.train.supervision.alarm import STDERR, Alarm
from camoe.train.supervision.heartbeats import Heartbeat, HeartbeatFolder
from camoe.train.supervision.messages import LateWorker, Runs, Stalled, leave_ending, send
from camoe.train.supervision.running_time import RunningTime

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
    last one of those that wait for it. `folder` and `timeout_s` are the same for all workers. An `Alarm` ends a process
    that can do neither, make progress nor watch: stuck in native code, or with a `folder` that hangs, as that of a dead
    NFS does. The launcher is told that the process runs, and ends the job of one that was stopped. Time for which the
    process was suspended does not count.

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
        self._clock = RunningTime(self._poll_s)
        self._heartbeats = HeartbeatFolder(folder, world, self._clock)
        self._alarm: Alarm | None = None
        self._beats = 0
        self._progress_phase = "starting"
        self._note = ""
        self._since, self._told = 0.0, -self._poll_s
        self._writes = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def beat(self, phase: str) -> None:
        """Tell that the worker is alive and now at `phase`."""
        self._beats += 1
        self.alive(phase)

    def alive(self, phase: str) -> None:
        """Do as `beat` does, for progress that not all workers make equally often, such as files of their own."""
        self._note, self._progress_phase, self._since = "", phase, self._clock.now
        self._tell()

    def note(self, text: str) -> None:
        """Add `text` to the phase until the next one, and print it; this is no sign of progress."""
        self._note = f" ({text})"
        print(f"train: {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> Watchdog:
        self._since = self._clock.now + self._start_allowance_s
        self._alarm = Alarm(self._timeout_s)
        self._alarm.set()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._stopped.set()
        self._thread.join()
        # Of a worker that failed it stays: it says where.
        if kind is None:
            self._heartbeats.remove_own()
        if self._alarm is not None:
            self._alarm.stop()
        # From here on only the launcher sees it.
        send(Runs(self._rank, "ending"), sys.stderr)

    @property
    def _phase(self) -> str:
        return f"{self._progress_phase}{self._note}"

    @property
    def _waited_s(self) -> float:
        """Seconds without progress; none within the allowance for the start."""
        return max(0.0, self._clock.now - self._since)

    def _tell(self) -> None:
        """Tell the clock, the alarm and now and then the launcher that the process runs."""
        if self._alarm is not None:
            self._clock.tick()
            self._alarm.set()
            if self._clock.now - self._told >= self._poll_s:
                self._told = self._clock.now
                send(Runs(self._rank, self._phase), sys.stderr)

    def _watch(self) -> None:
        while True:
            self._tell()
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

    @staticmethod
    def _end(stalled: Stalled) -> None:
        try:
            send(stalled, sys.stderr)
            faulthandler.dump_traceback(STDERR)
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
