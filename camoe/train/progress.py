"""What training says while it runs: one line every few seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

LINE_EVERY_S = 5.0


@dataclass
class Progress:
    """Speed and time left of one epoch. `waited_s` is time spent waiting for data."""

    epoch: int
    epochs: int
    steps: int
    rows: int = 0
    step: int = 0
    waited_s: float = 0.0
    started: float = field(default_factory=time.monotonic)
    printed: float = field(default_factory=time.monotonic)

    def advance(self, rows: int, waited_s: float, loss: float) -> None:
        """Count one step of `rows` global rows; print when the last line is old enough or the epoch ends."""
        self.rows, self.step, self.waited_s = self.rows + rows, self.step + 1, self.waited_s + waited_s
        now = time.monotonic()
        if now - self.printed >= LINE_EVERY_S or self.step == self.steps:
            self.printed = now
            print(self._line(now - self.started, loss), flush=True)

    def _line(self, elapsed_s: float, loss: float) -> str:
        left_s = elapsed_s / self.step * (self.steps - self.step + self.steps * (self.epochs - self.epoch - 1))
        return (
            f"train: epoch {self.epoch + 1}/{self.epochs}  step {self.step}/{self.steps}  loss {loss:.4f}  "
            f"{self.rows / elapsed_s:,.0f} rows/s  data wait {self.waited_s / elapsed_s:.1%}  {left_s:.0f} s left"
        )
