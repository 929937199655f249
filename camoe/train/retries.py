"""Training again from the newest checkpoint when workers were lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from camoe.contracts.errors import TrainingError
from camoe.train.hosts import said, without


class LostWorkersError(TrainingError):
    """Workers died or hung: nothing says that they would again. `lost` are their ranks."""

    def __init__(self, message: str, lost: frozenset[int]) -> None:
        super().__init__(message)
        self.lost = lost


def with_retries(attempt: Callable[[int, Sequence[str]], None], slots: Sequence[str], retries: int) -> None:
    """Call `attempt(number, slots)`, from number 1, and again up to `retries` times when workers were lost.

    `slots` has the host of each worker. Each new attempt has those of the workers that are left, and one at least.
    Errors that a worker explained are not tried again: they would come back.
    """
    for number in range(1, retries + 2):
        try:
            attempt(number, slots)
        except LostWorkersError as error:
            if number > retries:
                raise
            slots = without(slots, error.lost)
            print(f"train: {error}; attempt {number + 1} of {retries + 1} with {said(slots)}", flush=True)
        else:
            return
