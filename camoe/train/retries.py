"""Training again from the newest checkpoint when workers were lost."""

from __future__ import annotations

from collections.abc import Callable

from camoe.contracts.errors import TrainingError


class LostWorkersError(TrainingError):
    """Workers died or hung: nothing says that they would again. `lost` are their ranks."""

    def __init__(self, message: str, lost: frozenset[int]) -> None:
        super().__init__(message)
        self.lost = lost


def with_retries(attempt: Callable[[int, int], None], workers: int, retries: int, *, one_machine: bool) -> None:
    """Call `attempt(number, workers)`, from number 1, and again up to `retries` times when workers were lost.

    On one machine each new attempt has as many workers fewer as were lost, at least one. On several hosts it has the
    same number: which host to leave out is for whoever gives the hosts. Errors that a worker explained are not tried
    again: they would come back.
    """
    for number in range(1, retries + 2):
        try:
            attempt(number, workers)
        except LostWorkersError as error:
            if number > retries:
                raise
            workers = max(1, workers - len(error.lost)) if one_machine else workers
            with_whom = "1 worker" if workers == 1 else f"{workers} workers"
            print(f"train: {error}; attempt {number + 1} of {retries + 1} with {with_whom}", flush=True)
        else:
            return
