"""The part of a checkpoint that is no tensor. Torch-free, so that a job can look at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from camoe.contracts.errors import TrainingError, error_text
from camoe.contracts.files import local_folder, write_text
from camoe.train.checkpoint.history import History

STATE = "state.json"
TABLE_VERSION = "table version"
BATCH_SIZE = "training.batch_size"
OTHER_WORKERS = (
    " (where training.worker_batch_size made another batch of another number of workers, give training.batch_size and "
    "both learning rates as they were, with training.worker_batch_size=null and training.learning_rate_scaling=none)"
)
# Changed settings that a message names.
NAMED = 3


@dataclass(frozen=True)
class RunState:
    """`settings` decide what the run computes; `optimisers` and `schedules` hold what of them is no tensor."""

    settings: dict[str, Any]
    history: History
    optimisers: list[dict[str, Any]]
    schedules: list[dict[str, Any]]


def write_run_state(checkpoint: Path, state: RunState) -> None:
    """Write `state` into the folder of a checkpoint."""
    write_text(checkpoint / STATE, json.dumps(asdict(state)))


def read_run_state(path: Path) -> RunState:
    """Read the run's state in the checkpoint at `path`. Raises `TrainingError` when it is damaged."""
    try:
        return TypeAdapter(RunState).validate_python(json.loads((local_folder(path) / STATE).read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise TrainingError(
            f"the checkpoint {path} cannot be read ({error_text(error)}); remove it to use the one before"
        ) from None


def require_same(path: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `TrainingError` unless the run of the checkpoint at `path` had the settings of this one."""
    changed = [
        f"{name} was {was.get(name, 'not set')} and is {now.get(name, 'not set')}"
        for name in sorted({*was, *now})
        # Versions before knew no such list.
        if (None if was.get(name) == [] else was.get(name)) != (None if now.get(name) == [] else now.get(name))
    ]
    if changed:
        hint = OTHER_WORKERS if was.get(BATCH_SIZE) != now.get(BATCH_SIZE) else ""
        more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        raise TrainingError(
            f"the checkpoint {path} is of another run: {'; '.join(changed[:NAMED])}{more}; "
            f"use its settings{hint}, or train without --resume"
        )
