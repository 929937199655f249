"""What a study compares, as its file declares it: variants, seeds, folds of days, the tuning that all get, claims."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.days import DayRange
from camoe.contracts.shown.redaction import redacted_override
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName

Overrides = tuple[str, ...]
Metric = Literal["auc_pr", "ne", "ece", "roc_auc"]
Positive = Annotated[float, Field(gt=0)]


class Base(Section):
    """The pipeline that all variants change: a configuration file and overrides of it."""

    config: str
    overrides: Overrides = ()


class Variant(Section):
    """A system that is compared: overrides of the base, or boosted trees on the same columns.

    With `match_parameters`, the name of another variant, all widths are scaled so that there are as many parameters
    beside the embeddings as that one has.
    """

    title: str
    overrides: Overrides = ()
    system: Literal["network", "lightgbm"] = "network"
    match_parameters: SafeName | None = None

    @model_validator(mode="after")
    def _networks_only(self) -> Variant:
        if self.system != "network" and self.match_parameters:
            raise ValueError(f"match_parameters is of networks, not of {self.system}; leave it out")
        return self


class Fold(Section):
    """Days that are trained and tested on: overrides of the base, most of `days`, and the `lake` whose table has them.

    `choose` are days between validation and test that tuning is judged on, so that they are neither those that stop
    training and calibrate, nor those that are reported. `make` is the file of a synthetic lake, and `make_overrides`
    change it, that is made where there is none.
    """

    lake: Path
    overrides: Overrides = ()
    choose: DayRange | None = None
    make: str | None = None
    make_overrides: Overrides = ()


class Tuning(Section):
    """The same effort for every variant: so many `trials` in a space of the same two factors.

    `rate` bounds the factor of all learning rates, `regularisation` that of weight decay, or of what trees have in its
    place. The first trial has both at one. A trial that validates worse than the median of the ones before, at the
    same step, is given up: its schedule is the one that it would have had.
    """

    trials: int = Field(ge=2)
    rate: tuple[Positive, Positive] = (0.25, 4.0)
    regularisation: tuple[Positive, Positive] = (0.25, 4.0)
    seed: int = 1


class Claim(Section):
    """Something that is said of variants, on `groups` of rows: slots, modalities, or `all`.

    Either `better` beats `than` in each of `metrics` on each of `groups`, by more than nothing and by no less than
    `least`, a share of the metric, or `undominated` is beaten by no other variant on all `groups` at once.
    """

    says: str
    better: SafeName | None = None
    than: SafeName | None = None
    undominated: SafeName | None = None
    groups: tuple[str, ...] = Field(min_length=1)
    metrics: tuple[Metric, ...] = ("auc_pr",)
    least: float = Field(default=0.01, ge=0)

    @model_validator(mode="after")
    def _one_kind(self) -> Claim:
        if (self.better is None) != (self.than is None) or (self.better is None) == (self.undominated is None):
            raise ValueError("a claim names either better and than, or undominated")
        return self

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants that it names."""
        return tuple(name for name in (self.better, self.than, self.undominated) if name is not None)


class Study(Section):
    """A study: every one of `variants` is trained with each of `seeds` on each of `folds`, under `out`.

    Changes are told against `baseline`. `pictures` are pairs of groups, one an axis. Folds are in order of time:
    tuning looks at the first alone.
    """

    out: Path
    base: Base
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    baseline: SafeName
    variants: dict[SafeName, Variant] = Field(min_length=2)
    folds: dict[SafeName, Fold] = Field(min_length=1)
    tuning: Tuning | None = None
    claims: dict[SafeName, Claim] = Field(default_factory=dict)
    pictures: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Study:
        _require_known("baseline", [self.baseline], self.variants)
        for name, claim in self.claims.items():
            _require_known(f"claims.{name}", claim.variants, self.variants)
        for name, variant in self.variants.items():
            _require_known(f"variants.{name}.match_parameters", filter(None, [variant.match_parameters]), self.variants)
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed stands there twice; each is a training of its own")
        return self

    @model_validator(mode="after")
    def _no_secrets(self) -> Study:
        given = [self.base, *self.variants.values(), *self.folds.values()]
        for override in (override for one in given for override in one.overrides):
            if redacted_override(override) != override:
                raise ValueError(
                    f"{redacted_override(override)} holds a secret, and overrides are written into the study's folder; "
                    "put it into the base's configuration file"
                )
        return self


def _require_known(where: str, names: Iterable[str], variants: Iterable[str]) -> None:
    for name in names:
        if name not in variants:
            raise ValueError(f"{where}: there is no variant '{name}'; {suggestion(name, list(variants))}")
