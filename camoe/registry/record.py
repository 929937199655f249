"""The registry as data: models with their states, the line of champions, and every change that was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from camoe.contracts.config_file import Section
from camoe.contracts.errors import CamoeError
from camoe.metrics.config import PromotionConfig

CANDIDATE, SHADOW, CHAMPION, RETIRED = "candidate", "shadow", "champion", "retired"
State = Literal["candidate", "shadow", "champion", "retired"]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]


class RegistryError(CamoeError):
    """The registry of models is damaged, or cannot be changed as asked; nothing was changed."""


class Told(Section):
    """The verdict of one difference of an evaluation; see `camoe.metrics.comparison.Difference`."""

    objective: str
    group_kind: str
    group: str
    metric: str
    value: float | None
    p_holm: float | None
    verdict: str


class Judgement(Section):
    """Verdicts on a model against the champion on `days`, and the `rule` that they were held against."""

    against: Version
    days: tuple[date, ...]
    rule: PromotionConfig
    verdicts: tuple[Told, ...]


class Change(Section):
    """A change of the registry: `by` whom, and why: a reason that was given, or the judgement that a rule was met by.

    `model` is in `state` from then on.
    """

    at: datetime
    by: str
    action: Literal["promote", "rollback", "retire"]
    model: Version
    state: State
    reason: str | None = None
    judgement: Judgement | None = None


class Model(Section):
    """A model's state since when, and the bundle that it was copied from; `kept`: the registry has the copy."""

    state: State
    since: datetime
    origin: str
    kept: bool = True


class Registry(Section):
    """Models by version. `line` are the champions one after the other, the one of now last; `changes` the oldest first.

    A rollback takes the last one from the line.
    """

    models: Mapping[Version, Model] = Field(default_factory=dict)
    line: tuple[Version, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def champion(self) -> str | None:
        """The model that is served; None before the first promotion."""
        return self.line[-1] if self.line else None

    @property
    def shadows(self) -> tuple[str, ...]:
        """Models that are scored beside the champion."""
        return tuple(sorted(version for version, model in self.models.items() if model.state == SHADOW))
