"""Ends a worker that waits too long for the others.

Horovod's own stall check never fires over Gloo, so a worker whose peer is stuck would wait for ever, silently.
"""

from __future__ import annotations

import os
import sys
import threading
import time

EXIT_CODE = 75
POLLS_PER_TIMEOUT = 20


class Watchdog:
    """Ends the process when `beat` has not been called for `timeout_s` seconds."""

    def __init__(self, rank: int, timeout_s: float) -> None:
        self._rank = rank
        self._timeout_s = timeout_s
        self._doing = "starting"
        self._since = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="watchdog")

    def beat(self, doing: str) -> None:
        """The worker is alive and now does `doing`."""
        self._doing, self._since = doing, time.monotonic()

    def __enter__(self) -> Watchdog:
        self._since = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(self._timeout_s / POLLS_PER_TIMEOUT):
            if time.monotonic() - self._since > self._timeout_s:
                print(
                    f"error: worker {self._rank} waited more than {self._timeout_s:g} s at {self._doing}: "
                    "another worker is stuck or gone; look at the other workers' last lines in the log",
                    file=sys.stderr,
                    flush=True,
                )
                os._exit(EXIT_CODE)
