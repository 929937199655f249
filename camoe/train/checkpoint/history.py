"""The history of a training run: a checkpoint keeps it, the bundle's metrics tell it. Torch-free."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Validation:
    """Per head: NE (NaN where it saw one class only) and mean gate weight of each expert. `score` weighs the NEs."""

    ne: tuple[float, ...]
    gates: tuple[tuple[float, ...], ...]
    score: float

    @classmethod
    def without_rows(cls, heads: int) -> Validation:
        """Return what is known of a model of so many heads without rows to validate it on: nothing."""
        return cls((math.nan,) * heads, ((),) * heads, math.inf)


@dataclass(frozen=True)
class Check:
    """A validation within an epoch, after its first `step` steps, and the weights' hash (equal on all workers)."""

    step: int
    weights_hash: str
    validation: Validation


@dataclass(frozen=True)
class EpochResult:
    """One epoch: loss of every step, rows planned and trained, weights' hash (equal on all workers), validation.

    `checks` are the validations before that of its end.
    """

    epoch: int
    losses: tuple[float, ...]
    planned: int
    rows: int
    seconds: float
    weights_hash: str
    validation: Validation
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class RunningLoss:
    """Running loss of a head: its sum over `rows` rows, of which older batches' count for less and less.

    `batches` is how many batches had rows of it.
    """

    loss: float = 0.0
    rows: float = 0.0
    batches: int = 0

    @property
    def mean(self) -> float:
        """The running mean; 0 before the first row."""
        return self.loss / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Place:
    """A place in training: so many finished epochs, and steps of the next one."""

    epoch: int
    step: int


@dataclass(frozen=True)
class History:
    """Finished epochs, and the losses, seconds and validations of the steps that were trained of the next one.

    `levels` has one entry a head, or none before the first step.
    """

    epochs: tuple[EpochResult, ...] = ()
    losses: tuple[float, ...] = ()
    seconds: float = 0.0
    levels: tuple[RunningLoss, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def epoch(self) -> int:
        """Number of the epoch to go on in, from 0."""
        return len(self.epochs)

    @property
    def step(self) -> int:
        """The first step of that epoch that is not trained yet."""
        return len(self.losses)

    @property
    def steps(self) -> int:
        """Steps trained in all epochs."""
        return sum(len(result.losses) for result in self.epochs) + len(self.losses)

    @property
    def place(self) -> Place:
        """Place at which training goes on."""
        return Place(self.epoch, self.step)

    @property
    def validations(self) -> tuple[tuple[Place, Validation], ...]:
        """All validations so far, and where in training each was."""
        return tuple(self._validations())

    @property
    def best(self) -> int:
        """Number of the first validation with the least score; there must be one.

        The newest one where the validation rows tell nothing, all of one class in each head.
        """
        scores = [validation.score for _, validation in self.validations]
        return scores.index(min(scores)) if math.isfinite(min(scores)) else len(scores) - 1

    @property
    def best_place(self) -> Place | None:
        """Place of the best validation; None before the first."""
        found = self.validations
        return found[self.best][0] if found else None

    def steps_until(self, place: Place) -> int:
        """Count the steps that were trained until `place`."""
        return sum(len(result.losses) for result in self.epochs[: place.epoch]) + place.step

    def _validations(self) -> Iterator[tuple[Place, Validation]]:
        for number, result in enumerate(self.epochs):
            yield from ((Place(number, check.step), check.validation) for check in result.checks)
            yield Place(number + 1, 0), result.validation
        yield from ((Place(self.epoch, check.step), check.validation) for check in self.checks)

    def describe(self) -> str:
        """Describe the place for people, from 1."""
        return f"epoch {self.epoch + 1}, step {self.step + 1}"
