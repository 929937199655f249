"""What a study compares, as its file declares it: variants, seeds, folds of days, the tuning that all get, claims."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Annotated, Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Place, Section
from camoe.contracts.days import DayRange
from camoe.contracts.places.objects import Folder
from camoe.contracts.shown.redaction import redacted_override
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName

Overrides = tuple[str, ...]
Metric = Literal["auc_pr", "ne", "ece", "roc_auc"]
Grouping = Literal["one", "modality", "slot"]
Positive = Annotated[float, Field(gt=0)]


class Base(Section):
    """The pipeline that all variants change."""

    config: str
    """Its configuration file."""
    overrides: Overrides = ()
    """Overrides of it, as on a command line."""
    input: Place | None = None
    """Folder of the raw lake, or `s3://bucket/path`; null is the one that the configuration names."""

    @property
    def given(self) -> Overrides:
        """All overrides of the configuration."""
        return self.overrides if self.input is None else (*self.overrides, f"input={self.input}")


class Variant(Section):
    """A system that is compared."""

    title: str
    """What it is, for people."""
    overrides: Overrides = ()
    """What it changes of the base."""
    grouping: Grouping | None = None
    """Heads of the first objective made from the lake's own slots, in place of the configuration's: one, one a modality
    or one a slot. Those of other objectives stay."""
    system: Literal["network", "lightgbm"] = "network"
    """One of the project's models, or boosted trees on the same categories and numbers; they read no sequences."""
    match_parameters: SafeName | None = None
    """Another variant: all widths are scaled until there are as many parameters beside the embeddings as it has."""

    @model_validator(mode="after")
    def _networks_only(self) -> Variant:
        if self.system != "network" and self.match_parameters:
            raise ValueError(f"match_parameters is of networks, not of {self.system}; leave it out")
        return self


class Fold(Section):
    """Days that are trained and tested on."""

    lake: Folder
    """Folder of the lake, or `s3://bucket/path`, whose table has them."""
    overrides: Overrides = ()
    """What it changes of the base, most of `days`."""
    choose: DayRange | None = None
    """Days between validation and test that tuning is judged on, so that they are neither those that stop training and
    calibrate, nor those that are reported."""
    make: str | None = None
    """File of a synthetic lake that is made where there is none."""
    make_overrides: Overrides = ()
    """Overrides of that file."""


class Tuning(Section):
    """The same effort for every variant, in a space of the same two factors; the first trial has both at one.

    A trial that validates worse than the median of the ones before, at the same step, is given up: its schedule is the
    one that it would have had.
    """

    trials: int = Field(ge=2)
    """Trials of each variant."""
    rate: tuple[Positive, Positive] = (0.25, 4.0)
    """Bounds of the factor of all learning rates."""
    regularisation: tuple[Positive, Positive] = (0.25, 4.0)
    """Bounds of the factor of weight decay, or of what trees have in its place."""
    seed: int = 1
    """Seed of the draws."""


class Claim(Section):
    """Something that is said of variants: one beats another, or none beats one."""

    says: str
    """The claim, for people."""
    better: SafeName | None = None
    """The variant that beats `than` in each of `metrics` on each of `groups`."""
    than: SafeName | None = None
    """The variant that is beaten."""
    undominated: SafeName | None = None
    """The variant that no other one beats on all `groups` at once."""
    groups: tuple[str, ...] = Field(min_length=1)
    """Groups of rows: slots, modalities, or `all`."""
    metrics: tuple[Metric, ...] = ("auc_pr",)
    """Metrics that it is about."""
    least: float = Field(default=0.01, ge=0)
    """What a gain must at least be, as a share of the metric, to be one: below it the claim does not hold."""

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
    """A study: every variant is trained with each seed on each fold."""

    out: Folder
    """Folder of everything that it writes, or `s3://bucket/path`."""
    base: Base
    """The pipeline that all variants change."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    """Seeds of training."""
    baseline: SafeName
    """The variant against which changes are told."""
    variants: dict[SafeName, Variant] = Field(min_length=2)
    """Systems that are compared, by name."""
    folds: dict[SafeName, Fold] = Field(min_length=1)
    """Days, by name and in order of time: tuning looks at the first alone."""
    tuning: Tuning | None = None
    """Tuning of every variant; without it all are as declared."""
    claims: dict[SafeName, Claim] = Field(default_factory=dict)
    """What is to be judged, by name."""
    pictures: tuple[tuple[str, str], ...] = ()
    """Pairs of groups, one an axis."""

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
        given = [self.base.overrides, *(of.overrides for of in self.variants.values())]
        given += [of.overrides for of in self.folds.values()]
        for override in chain.from_iterable(given):
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
