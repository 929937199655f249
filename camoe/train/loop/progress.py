"""Tells the launcher how far training is, every few seconds."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from camoe.train.checkpoint.history import Validation
from camoe.train.loop.gates import GateUsage
from camoe.train.loop.step import StepResult
from camoe.train.supervision.messages import StepProgress, send

REPORT_EVERY_S = 5.0
# The figure by which validations are compared.
SCORE = "validation_score"


@dataclass
class Progress:
    """Speed and time left of one epoch of `steps` steps from `first` on; `later` steps are to come after it.

    `waited_s` is time spent waiting for data, `behind_s` for other workers. `heads` are the heads' names.
    """

    epoch: int
    first: int
    steps: int
    later: int
    heads: Sequence[str]
    rows: int = 0
    done: int = 0
    waited_s: float = 0.0
    behind_s: float = 0.0
    started: float = field(default_factory=time.monotonic)
    reported: float = field(default_factory=time.monotonic)

    @property
    def step_s(self) -> float:
        """Seconds a step so far."""
        return (time.monotonic() - self.started) / max(1, self.done)

    @property
    def rows_per_s(self) -> float:
        """Global rows a second so far."""
        return self.rows / max(1e-9, time.monotonic() - self.started)

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for data."""
        return self._share(self.waited_s)

    @property
    def others_wait(self) -> float:
        """Share of the time spent waiting for other workers."""
        return self._share(self.behind_s)

    def _share(self, seconds: float) -> float:
        return seconds / max(1e-9, time.monotonic() - self.started)

    def advance(self, rows: int, waited_s: float, result: StepResult, seen: GateUsage | None) -> None:
        """Count one step of `rows` global rows; report when the last report is old enough or the epoch ends.

        `seen` is the newest look at the gates.
        """
        self.rows, self.done, self.waited_s = self.rows + rows, self.done + 1, self.waited_s + waited_s
        self.behind_s += result.behind_s
        now = time.monotonic()
        if now - self.reported >= REPORT_EVERY_S or self.first + self.done == self.steps:
            self.reported = now
            send(self._message(result, seen), sys.stdout)

    def figures(self, result: StepResult) -> Iterator[tuple[str, float]]:
        """Yield names and values of what is reported."""
        yield "loss/all", result.loss
        yield "gradients/norm", result.norm
        yield "speed/rows_per_s", self.rows_per_s
        yield "speed/step_ms", 1000 * self.step_s
        yield "wait/data", self.data_wait
        yield "wait/others", self.others_wait

    def _message(self, result: StepResult, seen: GateUsage | None) -> StepProgress:
        step = self.first + self.done
        left_s = self.step_s * (self.steps - step + self.later)
        waits = f"data wait {self.data_wait:.1%}  others {self.others_wait:.1%}"
        heads = f"  {seen.describe(self.heads, result.means)}" if seen else ""
        figures = f"{1000 * self.step_s:.1f} ms/step  {waits}{heads}"
        return StepProgress(self.epoch + 1, step, self.steps, result.loss, self.rows_per_s, left_s, figures)


def step_figures(heads: Sequence[str], result: StepResult, seen: GateUsage) -> Iterator[tuple[str, float]]:
    """Yield names and values of what a step came to and what its gates used, without heads that had no row."""
    for name, loss, gate in zip(heads, result.means, seen.gates, strict=True):
        figures = (f"loss/{name}", loss), *((f"gate/{name}/expert_{expert}", one) for expert, one in enumerate(gate))
        yield from ((figure, value) for figure, value in figures if math.isfinite(value))


def epoch_figures(heads: Sequence[str], validation: Validation) -> Iterator[tuple[str, float]]:
    """Yield names and values of a validation, without heads that saw one class only."""
    if math.isfinite(validation.score):
        yield SCORE, validation.score
    known = ((name, ne) for name, ne in zip(heads, validation.ne, strict=True) if math.isfinite(ne))
    yield from ((f"validation_ne/{name}", ne) for name, ne in known)
