"""Ends a worker that waits too long, and says for whom it waited.

Horovod's own stall check never fires over Gloo, so a worker whose peer is stuck would wait for ever, silently. All
workers go through the same steps, so the ones behind are those that the others wait for. Each writes how far it is
into a folder that all of them see.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path

from camoe.contracts.files import write_json

EXIT_CODE = 75
POLLS_PER_TIMEOUT = 20
# The longest time between two looks, and so the age of what a worker that still runs has written about itself.
LONGEST_POLL_S = 5.0


class Watchdog:
    """Ends the process when `beat` has not been called for `timeout_s` seconds. `folder` is the same for all workers.

    Every worker calls `beat` at the same points, so the number of beats says how far it is. What a worker has written
    about itself is at most `longest_poll_s` or a twentieth of `timeout_s` old; all workers have the same timeout.
    """

    def __init__(self, rank: int, timeout_s: float, folder: Path, longest_poll_s: float = LONGEST_POLL_S) -> None:
        self._rank = rank
        self._timeout_s = timeout_s
        self._poll_s = min(timeout_s / POLLS_PER_TIMEOUT, longest_poll_s)
        self._folder = folder
        self._beats = 0
        self._doing = "starting"
        self._since = time.monotonic()
        self._started = time.time()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def beat(self, doing: str) -> None:
        """The worker is alive and now does `doing`."""
        self._beats, self._doing, self._since = self._beats + 1, doing, time.monotonic()

    def note(self, text: str) -> None:
        """Add to what the worker says it does, and say it; this is no sign of progress."""
        self._doing = f"{self._doing.split(' (')[0]} ({text})"
        print(f"train: {text}", file=sys.stderr, flush=True)

    def __enter__(self) -> Watchdog:
        self._started, self._since = time.time(), time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stopped.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._file(self._rank).unlink()

    def _watch(self) -> None:
        self._write()
        while not self._stopped.wait(self._poll_s):
            self._write()
            if time.monotonic() - self._since > self._timeout_s:
                print(
                    f"error: worker {self._rank} waited more than {self._timeout_s:g} s at {self._doing}: "
                    f"{self._behind()}; look at the workers' last lines in the log",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(EXIT_CODE)

    def _file(self, rank: int) -> Path:
        return self._folder / f"worker-{rank}.json"

    def _write(self) -> None:
        state = {"rank": self._rank, "beats": self._beats, "doing": self._doing, "at": time.time()}
        # A folder that cannot be written costs the other workers' names, not the watch.
        with contextlib.suppress(OSError):
            write_json(self._file(self._rank), state)

    def _behind(self) -> str:
        """The workers that are not as far as this one, or that say nothing any more."""
        late = []
        for path in sorted(self._folder.glob("worker-*.json")):
            try:
                other = json.loads(path.read_text())
            except OSError:  # It ended well in this very moment.
                continue
            silent_s = time.time() - other["at"]
            gone = silent_s > min(3 * LONGEST_POLL_S, self._timeout_s / 2)
            # What an earlier run left lies before this worker's start.
            if other["rank"] != self._rank and other["at"] >= self._started and (other["beats"] < self._beats or gone):
                silence = f", silent for {silent_s:.0f} s" if gone else ""
                late.append(f"worker {other['rank']} (at {other['doing']}{silence})")
        return f"it waits for {', '.join(late)}" if late else "no worker is behind it"
