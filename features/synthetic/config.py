"""The configuration of the synthetic lake: its size, people, traffic, placements, signal and declared faults."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.days import Zone
from camoe.contracts.layout import Layout
from camoe.contracts.slots import SafeName

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Focus = Literal["in", "out"]
FOCUS_STATES: tuple[Focus, ...] = ("in", "out")


def _some_weight(weights: dict[str, float]) -> dict[str, float]:
    if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError("weights must be at least one number, none negative, not all zero")
    return weights


Weights = Annotated[dict[str, float], AfterValidator(_some_weight)]
HourWeights = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=24, max_length=24)]


class Population(Section):
    """Categories with their relative weights, and rates of change of a user's or campaign's rows."""

    age_bands: Weights
    markets: Weights
    systems: Weights
    genres: Weights
    verticals: Weights
    creatives: Weights
    campaign_objectives: Weights
    mean_tenure_days: float = Field(gt=0)
    mean_listening_hours: float = Field(gt=0)
    impressions_per_user: int = Field(default=40, ge=1)
    impressions_per_campaign: int = Field(default=500, ge=1)
    campaigns_at_least: int = Field(default=60, ge=10)
    campaigns_at_most: int = Field(default=2000, ge=10)
    user_changes: Share = 0.3
    campaign_changes: Share = 0.5
    targeted: Share = 0.5
    always_on: Share = 0.15


class Traffic(Section):
    """Times and ways in which people listen.

    `session_lengths` are impressions a session, used in turn; `hours` weighs the local hours; `focus_by_hour` is how
    much likelier the screen is in view at that hour, relative; `focus_change` is the chance that it changes between
    two impressions; `own_genre` the share of listening in the favourite genre.
    """

    session_lengths: tuple[Annotated[int, Field(ge=1, le=50)], ...] = Field(min_length=1)
    hours: HourWeights
    focus_by_hour: HourWeights
    focus_change: Share
    own_genre: Share
    user_skew: float = Field(default=1.5, ge=1)
    devices: dict[Focus, Weights]
    connections: Weights
    pod_positions: Weights


class Placement(Section):
    """A slot's share of the impressions and its rate of each objective, given what the objective requires."""

    slot: SafeName
    modality: SafeName
    content: SafeName
    focus: Focus
    share: Annotated[float, Field(gt=0)]
    rates: dict[SafeName, Rate]


class Placements(Section):
    """All slots; shares sum to 1."""

    slots: tuple[Placement, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Placements:
        total = sum(slot.share for slot in self.slots)
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the slots sum to {total:g}, not 1")
        missing = [focus for focus in FOCUS_STATES if self.focus_share(focus) == 0]
        if missing:
            raise ValueError(f"no slot has focus '{missing[0]}'")
        return self

    def focus_share(self, focus: Focus) -> float:
        """Return the share of the impressions whose screen is in (or out of) view."""
        return sum(slot.share for slot in self.slots if slot.focus == focus)


class Effect(Section):
    """Addition to an impression's score.

    One value for each combination of the columns `by`, uniform with mean 0 and standard deviation `strength`.
    With `slope`, `strength` times that one column instead, centred at `centre` after log1p. `response` multiplies the
    effect in a modality (default 1).
    """

    by: tuple[str, ...] = Field(min_length=1)
    strength: float
    slope: bool = False
    centre: float = 0.0
    response: dict[SafeName, float] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name for people, unique among the effects of a lake."""
        return " x ".join(self.by) + (" (slope)" if self.slope else "")


class Delay(Section):
    """Exponential delay in seconds, cut at `max_s`."""

    mean_s: float = Field(gt=0)
    max_s: float = Field(gt=0)


class ObjectiveSignal(Section):
    """An objective's log-odds: intercept of the slot + `loading` · score + own effect of strength `own`.

    `requires` names an earlier objective without which this one does not happen; `happens` is the time from the
    impression to the outcome, `reported` the time from the outcome until it is known.
    """

    loading: float
    own: float = Field(default=0.0, ge=0)
    requires: SafeName | None = None
    happens: Delay
    reported: Delay


class Signal(Section):
    """Causes of the outcomes. `world` draws the effects, so that lakes of several seeds share one truth."""

    world: int = 1
    effects: tuple[Effect, ...]
    own_effect_by: tuple[str, ...] = Field(min_length=1)
    objectives: dict[SafeName, ObjectiveSignal]

    @model_validator(mode="after")
    def _one_effect_a_name(self) -> Signal:
        names = [effect.name for effect in self.effects]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two effects are by {twice[0]}; add them up")
        return self

    @model_validator(mode="after")
    def _requirements_first(self) -> Signal:
        known: set[str] = set()
        for name, objective in self.objectives.items():
            if objective.requires is not None and objective.requires not in known:
                raise ValueError(f"objective '{name}' requires '{objective.requires}', which is not declared before it")
            known.add(name)
        return self


class Faults(Section):
    """Declared faults.

    Shares of the impressions: `duplicates` come twice, `conflicts` come twice with two times, `null_keys` lack an id,
    `house_ads` carry a slot outside the catalogue. Shares of the outcomes: `invalid_labels` have a value that is no
    label, `duplicate_outcomes` come twice, `orphan_outcomes` name an impression that is not there. Shares of versions:
    `late_corrections` of users and campaigns are first wrong and put right later, `late_contexts` are known late.
    """

    duplicates: Share = 0
    conflicts: Share = 0
    null_keys: Share = 0
    house_ads: Share = 0
    house_slot: SafeName = "house_promo"
    invalid_labels: Share = 0
    duplicate_outcomes: Share = 0
    orphan_outcomes: Share = 0
    late_corrections: Share = 0
    late_contexts: Share = 0

    @model_validator(mode="after")
    def _fit(self) -> Faults:
        if self.duplicates + self.conflicts + self.null_keys + self.house_ads > 1:
            raise ValueError("duplicates, conflicts, null_keys and house_ads together are more than all impressions")
        if self.invalid_labels + self.duplicate_outcomes + self.orphan_outcomes > 1:
            raise ValueError("the faulty outcomes together are more than all outcomes")
        return self


class LakeConfig(Section):
    """One lake. `divergence` scales how far the modalities' responses lie apart: 0 makes them respond alike."""

    out: Path
    replace: bool = False
    seed: int
    impressions: int = Field(ge=1)
    first_day: date
    days: int = Field(ge=1)
    zone: Zone
    divergence: float = 1.0
    population: Population
    traffic: Traffic
    placements: Placements
    signal: Signal
    faults: Faults

    @model_validator(mode="after")
    def _rates_for_all_objectives(self) -> LakeConfig:
        for slot in self.placements.slots:
            if set(slot.rates) != set(self.signal.objectives):
                raise ValueError(f"slot '{slot.slot}' must give a rate for each of {', '.join(self.signal.objectives)}")
        return self

    @property
    def layout(self) -> Layout:
        """Paths under `out`."""
        return Layout(self.out)

    @property
    def users(self) -> int:
        """Number of users."""
        return max(50, self.impressions // self.population.impressions_per_user)

    @property
    def campaigns(self) -> int:
        """Number of campaigns."""
        wanted = self.impressions // self.population.impressions_per_campaign
        return min(self.population.campaigns_at_most, max(self.population.campaigns_at_least, wanted))

    def identity(self) -> str:
        """Hash all that shapes the content: everything but where it is written."""
        return self.model_copy(update={"out": Path(), "replace": False}).content_hash()
