"""The commit that makes the training table: by one run at a time, over what a run left that was killed before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from features.attempt import only_attempt
from features.waiting import LONGEST_WAIT_S, patiently

# The name of a lock beside those of the runs; no run's own, as it has a space.
MAKING = "first commit"


@contextmanager
def making_alone(runs: Path, longest_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Let no other run make the table while the block runs; waits for one that does, and says so.

    `runs` is the folder of the run records.

    Raises:
        RunError: another run still holds the lock after `longest_s` seconds; names its file.
    """
    with ExitStack() as stack:
        patiently(lambda: stack.enter_context(only_attempt(runs, MAKING)), "the run that makes the table", longest_s)
        yield


def set_aside(table: Path, run_id: str) -> None:
    """Move what lies at `table`, where no version names any of it, out of the way; `jobs/maintain.py orphans` lists it.

    Delta makes no table in a folder that is not empty. Nothing is removed.
    """
    if not table.is_dir() or not any(table.iterdir()):
        return
    # A name of its own: an earlier attempt of the run may have been killed in the same place.
    place = table.with_name(f".uncommitted-{run_id}-{uuid4().hex[:8]}")
    table.rename(place)
    print(f"build_features: {table} had files and no version; they are in {place} now", flush=True)
