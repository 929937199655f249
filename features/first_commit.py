"""The commit that makes the training table: by one run at a time, over what a run left that was killed before it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from camoe.contracts.runs import RunError
from features.attempt import only_attempt

# The name of a lock beside those of the runs; no run's own, as it has a space.
MAKING = "first commit"
WAIT_S = 1.0


@contextmanager
def making_alone(runs: Path) -> Iterator[None]:
    """Let no other run make the table while the block runs; waits for one that does, and says so.

    `runs` is the folder of the run records.
    """
    with ExitStack() as stack:
        said = False
        while True:
            try:
                stack.enter_context(only_attempt(runs, MAKING))
                break
            except RunError as error:
                if not said:
                    print(f"build_features: waits for the run that makes the table: {error}", flush=True)
                said = True
                time.sleep(WAIT_S)
        yield


def set_aside(table: Path, run_id: str) -> None:
    """Move what lies at `table`, where no version names any of it, out of the way; `jobs/maintain.py orphans` lists it.

    Delta makes no table in a folder that is not empty. Nothing is removed: the log may have been lost.
    """
    if not table.is_dir() or not any(table.iterdir()):
        return
    place = table.with_name(f".uncommitted-{run_id}")
    table.rename(place)
    print(f"build_features: {table} had files and no version; they are in {place} now", flush=True)
