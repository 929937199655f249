"""The run that a training job continues. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camoe.contracts.errors import TrainingError
from camoe.contracts.files import is_whole
from camoe.train.checkpoint.folder import checkpoint_name, complete, damage, new_run, part_of, run_of
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

    A checkpoint that is damaged is passed over, and the description says so.
    """
    there = complete(folder)
    if not there:
        return ResumePoint(new_run(folder), table_version, "starts from the beginning")
    if not resume:
        left = f"{len(there)} checkpoints of an unfinished run in {folder}"
        description = (
            f"starts from the beginning; the {left} go when this run writes its first (--resume continues them)"
        )
        return ResumePoint(new_run(folder), table_version, description)
    last, faults = newest_whole(folder)
    passed_over = "".join(f"; passed over {fault}" for fault in faults)
    if last is None:
        return ResumePoint(new_run(folder), table_version, f"starts from the beginning{passed_over}")
    state = read_run_state(last)
    version = state.settings[TABLE_VERSION] if table_version is None else table_version
    return ResumePoint(run_of(last), version, f"continues {last} at {state.history.describe()}{passed_over}")


def newest_whole(folder: Path, part: str | None = None) -> tuple[Path | None, tuple[str, ...]]:
    """Return the newest checkpoint, of any run or of one part, that training can go on from, and newer ones' faults.

    It can where its files and those of its best checkpoint, which the bundle is made of, are as written.
    """
    faults: list[str] = []
    for checkpoint in reversed(complete(folder, part)):
        fault = _fault(checkpoint)
        if not fault:
            return checkpoint, tuple(faults)
        faults.append(f"{checkpoint.name}: {fault}")
    return None, tuple(faults)


def _fault(checkpoint: Path) -> str:
    wrong = damage(checkpoint)
    if wrong:
        return wrong
    try:
        place = read_run_state(checkpoint).history.best_place
    except TrainingError as error:
        return str(error)
    if place is None:
        return ""
    best = checkpoint.with_name(checkpoint_name(part_of(checkpoint), place.epoch, place.step))
    wrong = damage(best) if is_whole(best) else "is gone"
    return f"the best one, {best.name}: {wrong}" if wrong else ""
