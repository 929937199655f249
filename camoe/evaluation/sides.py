"""Two sides of a comparison, each a model, days and a predictor of what evaluations kept. Needs no Spark."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from camoe.contracts.days import day_list
from camoe.contracts.errors import InputError
from camoe.evaluation.kept import read_states
from camoe.metrics.comparison import Difference, compare_states
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.state import State
from camoe.metrics.table import MODEL, StateKey


@dataclass(frozen=True)
class Side:
    """A model version, days, and which of the predictors that were evaluated with it."""

    version: str
    days: tuple[date, ...]
    predictor: str = MODEL

    def __str__(self) -> str:
        return f"{self.version} {self.predictor} on {day_list(self.days)}"


def compared(
    path: Path, ours: Side, theirs: Side, settings: EvaluationConfig, kinds: Collection[str]
) -> tuple[Difference, ...]:
    """Return the differences, ours less theirs, of every group of `kinds` that both have in the states at `path`.

    Sides of the same days are compared in pairs, and have to be of the same rows.

    Raises:
        InputError: nothing is kept of a side, or the two are one.
        MetricError: as `compare_states` does.
    """
    if ours == theirs:
        raise InputError(f"both sides are {ours}; name another model, days or predictor to compare it with")
    mine, other = (_of_predictor(read_states(path, side.version, side.days, kinds), side) for side in (ours, theirs))
    return compare_states(mine, other, str(theirs), settings, same=set(ours.days) == set(theirs.days))


def _of_predictor(states: Mapping[StateKey, State], side: Side) -> dict[StateKey, State]:
    """Return the states of the side's predictor, as those of a model."""
    known = sorted({key.predictor for key in states})
    if side.predictor not in known:
        raise InputError(
            f"no predictor '{side.predictor}' was evaluated with model {side.version} (there are: {', '.join(known)}); "
            "declare it in evaluation.predictors and run jobs/evaluate.py"
        )
    return {replace(key, predictor=MODEL): state for key, state in states.items() if key.predictor == side.predictor}
