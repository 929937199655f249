"""Time for which a process ran: what it was suspended for is not held against anyone."""

from __future__ import annotations

import time


class RunningTime:
    """Seconds since it was made, as one who ticks about every `interval_s` seconds has lived through them.

    Between two ticks no more than two intervals pass: whoever did not tick for longer did not run.
    """

    def __init__(self, interval_s: float) -> None:
        self._most_s = 2 * interval_s
        self._ticked = 0.0, time.monotonic()

    def tick(self) -> None:
        """Tell that the process runs."""
        self._ticked = self.now, time.monotonic()

    @property
    def now(self) -> float:
        """Seconds so far."""
        lived_s, at = self._ticked
        return lived_s + min(time.monotonic() - at, self._most_s)
