"""The run that a training job continues. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camoe.train.checkpoint.folder import complete, new_run, newest, run_of
from camoe.train.checkpoint.state import TABLE_VERSION, read_run_state


@dataclass(frozen=True)
class ResumePoint:
    """The run to train, the table version it reads (None: the newest), and a line that says what is done and why."""

    run: str
    table_version: int | None
    description: str


def resume_point(folder: Path, resume: bool, table_version: int | None) -> ResumePoint:
    """Return the run of the newest checkpoint in `folder`, with its table version, if `resume`; else a new run.

    So it is with `resume`, too, when there is no checkpoint: a run that is over leaves none. Those of an unfinished run
    stay until a new run has written its first.

    Raises:
        TrainingError: the newest checkpoint is damaged.
    """
    last = newest(folder)
    if last is None:
        return ResumePoint(new_run(), table_version, "starts from the beginning")
    if not resume:
        left = f"{len(complete(folder))} checkpoints of an unfinished run in {folder}"
        description = (
            f"starts from the beginning; the {left} go when this run writes its first (--resume continues them)"
        )
        return ResumePoint(new_run(), table_version, description)
    state = read_run_state(last)
    version = state.settings[TABLE_VERSION] if table_version is None else table_version
    return ResumePoint(run_of(last), version, f"continues {last} at {state.history.describe()}")
