"""Failures after a run's commit: the rows are in the table, whatever the message says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deltalake.exceptions import DeltaError

from camoe.contracts.errors import CamoeError
from camoe.contracts.places import counts
from camoe.contracts.runs import RunRecord
from features.plan import JOB, Plan
from features.spark.failures import SPARK_FAILURES, first_line

HOW_TO_TELL = "for the run's counts and report, build its days again under another --run-id"


class CommittedError(CamoeError):
    """A failure after a run's commit: the run is in the training table, and a later step failed."""


@contextmanager
def after_commit(plan: Plan, version: int) -> Iterator[None]:
    """Let a failure inside the block say that the run is committed as `version` of the training table.

    Raises:
        CommittedError: in place of the failure.
    """
    try:
        yield
    except (CamoeError, DeltaError, OSError, *SPARK_FAILURES) as error:
        # Only what Spark says may quote a value of the data; of the others the quotes are files and settings.
        said = first_line(error) if isinstance(error, SPARK_FAILURES) else str(error)
        raise CommittedError(
            f"run {plan.run_id} is committed as version {version} of {plan.layout.table}, but a step after that "
            f"failed: {said}; mend that; what is left to prune goes with the next run; {HOW_TO_TELL}"
        ) from error


def committed_before(plan: Plan, earlier: RunRecord) -> str:
    """Return the message of a retry whose earlier attempt has committed."""
    said = f"run {plan.run_id} has committed its days already, on {earlier.built:%Y-%m-%d %H:%M}; nothing to do"
    if counts.recorded(plan.layout.counts, JOB).get("run_id") == plan.run_id:
        return said
    why = f"{plan.layout.counts} does not tell of it: its writing was cut off, or a later run wrote it"
    return f"{said}\n{why}; {HOW_TO_TELL}"
