"""One scoring job at a time writes a day's predictions of a model, and the loser of two commits says so in a line."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path

from camoe.contracts.errors import error_text
from camoe.contracts.places.leases import leased
from camoe.contracts.runs import RunError, lock_of


@contextmanager
def days_alone(runs: Path, model_version: str, days: Collection[date]) -> Iterator[None]:
    """Let no other job score one of `days` with the model while the block runs; `runs` is the folder of leases.

    Raises:
        RunError: another one does.
    """
    with ExitStack() as stack:
        for day in sorted(days):
            # Names with a space are of no run of the feature job.
            lease = lock_of(runs, f"scores of {day} by {model_version}")
            stack.enter_context(leased(lease, f"scoring of {day} with model {model_version}", RunError))
        yield


@contextmanager
def one_line(conflicts: tuple[type[Exception], ...], path: Path | str) -> Iterator[None]:
    """Raise `RunError` where a commit to the table at `path` fails by one of `conflicts`."""
    try:
        yield
    except conflicts as error:
        raise RunError(
            f"another job wrote to {path} at the same moment ({error_text(error)}); nothing of this one is there: "
            "run it again"
        ) from None
