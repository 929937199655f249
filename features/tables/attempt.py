"""One attempt of a run at a time: a lease beside the run records, which names its holder.

Two attempts under one run id would take each other's rows of the side tables, and the record, for their own.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from camoe.contracts.places.leases import leased
from camoe.contracts.runs import RunError, lock_of


def only_attempt(runs: Path, run_id: str) -> AbstractContextManager[None]:
    """Hold the run's lease in the folder `runs` while the block runs; see `leased`.

    Raises:
        RunError: another attempt holds it.
    """
    return leased(lock_of(runs, run_id), "attempt of the run", RunError)
