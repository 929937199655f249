"""Saving and continuing a run: weights and optimisers as safetensors, all else as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from camoe.contracts.errors import TrainingError
from camoe.contracts.files import local_folder
from camoe.model.camoe import Camoe
from camoe.model.finite import require_finite
from camoe.train.checkpoint import folder as folders
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.state import RunState, read_run_state, require_same, write_run_state
from camoe.train.optimiser.optimisers import Optimisers

MODEL = "model.safetensors"
OPTIMISERS = "optimisers.safetensors"


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run's `part` in `folder`, `settings` as in `RunState`; `keep` newest stay, and the best."""

    folder: Path
    part: str
    settings: Mapping[str, Any]
    keep: int

    def save(self, model: Camoe, optimisers: Optimisers, history: History) -> Path:
        """Write the run as it stands at `history`, then remove what is too old.

        Where weights are averaged, `model` has the average, and the optimisers the weights that training goes on from.

        Raises:
            TrainingError: a weight is not finite, or the disk did not take it; the checkpoints before stay.
        """
        weights = _contiguous(model.state_dict())
        require_finite(weights, f"no checkpoint was written; {self._last()}")
        tensors, scalars = _taken_apart(optimisers)
        schedules = [
            {name: value for name, value in schedule.state_dict().items() if name != "lr_lambdas"}
            for schedule in optimisers.schedules
        ]
        state = RunState(dict(self.settings), history, scalars, schedules)

        def write(staging: Path) -> None:
            save_file(weights, staging / MODEL)
            save_file(tensors, staging / OPTIMISERS)
            write_run_state(staging, state)

        try:
            name = folders.checkpoint_name(self.part, history.epoch, history.step)
            path = folders.write_atomically(self.folder, name, write)
            folders.prune(self.folder, self.part, self.keep, self._best(history))
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"the checkpoint of {history.describe()} could not be written to {self.folder}: {error}; "
                f"make room there, then go on: {self._last()}"
            ) from None
        return path

    def restore(self, path: Path, model: Camoe, optimisers: Optimisers) -> History:
        """Give `model` and `optimisers` what the checkpoint at `path` holds; return the run's history there.

        Raises:
            TrainingError: the checkpoint is damaged, or of a run with other settings.
        """
        state = read_run_state(path)
        require_same(path, state.settings, self.settings)
        device = next(model.parameters()).device
        there = local_folder(path)
        model.load_state_dict(read_tensors(there / MODEL, device))
        optimisers.release()
        # Copied: what is read is mapped from the file, which may be removed while training goes on.
        tensors = {name: value.clone() for name, value in read_tensors(there / OPTIMISERS, device).items()}
        _put_together(optimisers, tensors, state.optimisers)
        for schedule, values in zip(optimisers.schedules, state.schedules, strict=True):
            schedule.load_state_dict({**values, "lr_lambdas": [None]})
        optimisers.swap()
        return state.history

    def load_best(self, history: History, model: Camoe) -> None:
        """Give `model` the weights that the best validation of `history` was of.

        Raises:
            TrainingError: its checkpoint is damaged.
        """
        (name,) = self._best(history)
        wrong = folders.damage(self.folder / name)
        if wrong:
            raise TrainingError(
                f"the checkpoint of the best weights, {self.folder / name}, is damaged: {wrong}; --resume goes on from "
                "one before it"
            )
        there = local_folder(self.folder / name)
        model.load_state_dict(read_tensors(there / MODEL, next(model.parameters()).device))

    def settle(self, history: History) -> None:
        """Keep the last checkpoint of a part that is over, and the best one."""
        folders.prune(self.folder, self.part, 1, self._best(history))

    def _best(self, history: History) -> list[str]:
        best = history.best_place
        return [folders.checkpoint_name(self.part, best.epoch, best.step)] if best else []

    def _last(self) -> str:
        last = folders.newest(self.folder, self.part)
        return f"--resume continues from {last.name}" if last else "there is no earlier checkpoint"


def read_tensors(path: Path, device: torch.device) -> dict[str, Tensor]:
    """Map the tensors of one file, or read them onto `device`. Raises `TrainingError` when it is damaged."""
    try:
        found: dict[str, Tensor] = load_file(path, device=str(device))
        return found
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path} cannot be read ({error}); remove {path.parent} to use the one before") from None


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().contiguous() for name, value in tensors.items()}


def _taken_apart(optimisers: Optimisers) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Return the optimisers' tensors by `part.weight.name`, and what is no tensor."""
    tensors: dict[str, Tensor] = {}
    scalars = []
    for number, part in enumerate(optimisers.parts):
        whole = part.state_dict()
        numbers: dict[str, dict[str, Any]] = {}
        for weight, state in whole["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"{number}.{weight}.{name}"] = value
                else:
                    numbers.setdefault(str(weight), {})[name] = value
        scalars.append({"numbers": numbers, "groups": whole["param_groups"]})
    return _contiguous(tensors), scalars


def _put_together(optimisers: Optimisers, tensors: Mapping[str, Tensor], scalars: list[dict[str, Any]]) -> None:
    for number, (part, saved) in enumerate(zip(optimisers.parts, scalars, strict=True)):
        state: dict[int, dict[str, Any]] = {int(weight): dict(values) for weight, values in saved["numbers"].items()}
        for key, value in tensors.items():
            of_part, weight, name = key.split(".", 2)
            if int(of_part) == number:
                state.setdefault(int(weight), {})[name] = value
        groups = [{name: _listed(value) for name, value in group.items()} for group in saved["groups"]]
        part.load_state_dict({"state": state, "param_groups": groups})


def _listed(value: Any) -> Any:
    """Return numbers as a tuple, as optimisers have them: JSON knows lists only."""
    return tuple(value) if isinstance(value, list) and value and isinstance(value[0], float) else value
