"""The launcher's own eye on the workers: it ends a run in which one does not begin, or does not run any more."""

from __future__ import annotations

from dataclasses import dataclass

from camoe.train.supervision.messages import Message, Runs
from camoe.train.supervision.running_time import RunningTime
from camoe.train.supervision.watchdog import LONGEST_POLL_S, POLLS_PER_TIMEOUT

# What Horovod's launcher may take to look at the hosts before it starts a worker.
LAUNCH_S = 30
# Share of the timeout by which a worker may be silent for longer: the others know more, so they are to tell first.
PATIENCE = 0.1


@dataclass(frozen=True)
class Silence:
    """Workers that are `lost`, as they were silent for too long, and the `reason` for people."""

    reason: str
    lost: frozenset[int]


class SilenceWatch:
    """What each of so many workers of a run that starts now has told last, and when."""

    def __init__(self, workers: int, timeout_s: float) -> None:
        self.poll_s = min(timeout_s / POLLS_PER_TIMEOUT, LONGEST_POLL_S)
        self._timeout_s = timeout_s
        self._clock = RunningTime(self.poll_s)
        not_begun = f"had not begun {timeout_s + LAUNCH_S:g} s after the launch", float(LAUNCH_S)
        self._told = dict.fromkeys(range(workers), not_begun)

    def note(self, message: Message | None) -> None:
        """Take note of a message, and, with None too, of the time."""
        self._clock.tick()
        if isinstance(message, Runs) and message.phase is None:
            self._told.pop(message.rank)
        elif isinstance(message, Runs):
            self._told[message.rank] = f"waited more than {self._timeout_s:g} s at {message.phase}", self._clock.now

    def too_long(self) -> Silence | None:
        """Return the silence for which the run is to end, once; None while all workers may run."""
        since = self._clock.now - (1 + PATIENCE) * self._timeout_s
        silent = {rank: what for rank, (what, told) in sorted(self._told.items()) if told < since}
        if not silent:
            return None
        self._told.clear()
        workers = ", ".join(f"worker {rank} {what}" for rank, what in silent.items())
        why = "it did not run, and was ended; it was stopped, or stuck in native code"
        return Silence(f"{workers}: {why}", frozenset(silent))
