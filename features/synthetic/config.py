"""The configuration of the synthetic lake: its size, people, traffic, placements, signal and declared faults."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from pydantic import Field, model_validator

from camoe.contracts.config_file import LocalPath, Section
from camoe.contracts.days import Zone
from camoe.contracts.hashing import short_hash
from camoe.contracts.layout import Layout
from camoe.contracts.slots import SafeName
from features.synthetic.scene import (
    FOCUS_STATES,
    Faults,
    MarketSide,
    Placements,
    Population,
    Traffic,
)


class Effect(Section):
    """Addition to an impression's score."""

    by: tuple[str, ...] = Field(min_length=1)
    """Columns: each combination of their values has one value, uniform with mean 0 and the standard deviation
    `strength`."""
    strength: float
    """Size of the effect, in log-odds."""
    slope: bool = False
    """Whether the effect is `strength` times the one column of `by` instead, centred at `centre` after log1p."""
    centre: float = 0.0
    """Centre of a slope."""
    response: dict[SafeName, float] = Field(default_factory=dict)
    """Factor of the effect in a modality; 1 where none is given."""

    @property
    def name(self) -> str:
        """Name for people, unique among the effects of a lake."""
        return " x ".join(self.by) + (" (slope)" if self.slope else "")


class Delay(Section):
    """Exponential delay, cut at its greatest value."""

    mean_s: float = Field(gt=0)
    """Mean, in seconds, before the cut."""
    max_s: float = Field(gt=0)
    """Greatest value, in seconds."""


class ObjectiveSignal(Section):
    """An objective's log-odds: intercept of the slot + `loading` · score + own effect of strength `own`."""

    loading: float
    """Factor of the score."""
    own: float = Field(default=0.0, ge=0)
    """Strength of the effect of its own."""
    requires: SafeName | None = None
    """Earlier objective without which this one does not happen; null is none."""
    happens: Delay
    """Time from the impression to the outcome."""
    reported: Delay
    """Time from the outcome until it is known."""


class Signal(Section):
    """Causes of the outcomes."""

    world: int = 1
    """Seed of the effects, so that lakes of several seeds share one truth."""
    effects: tuple[Effect, ...]
    """Additions to an impression's score."""
    own_effect_by: tuple[str, ...] = Field(min_length=1)
    """Columns by which each objective has an effect of its own."""
    objectives: dict[SafeName, ObjectiveSignal]
    """Objectives, by name, each after what it requires."""

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


class LakeConfig(Section):
    """One synthetic lake, which jobs/make_lake.py makes."""

    out: LocalPath
    """Folder in which it is written, in `raw` and `truth`."""
    replace: bool = False
    """Whether a lake of another seed or configuration there is replaced."""
    seed: int
    """Seed of people, impressions and outcomes."""
    impressions: int = Field(ge=1)
    """Impressions, before faults are added; users and campaigns grow with them."""
    first_day: date
    """First day."""
    days: int = Field(ge=1)
    """Days."""
    zone: Zone
    """IANA time zone of the days and of local hours."""
    divergence: float = 1.0
    """Factor of how far the modalities' responses lie apart: 0 makes them respond alike."""
    population: Population
    """Users and campaigns."""
    traffic: Traffic
    """Times and ways in which people listen."""
    placements: Placements
    """Slots."""
    signal: Signal
    """Causes of the outcomes."""
    faults: Faults
    """Declared faults."""
    market: MarketSide | None = None
    """Ad requests and their candidates; null makes none."""

    @model_validator(mode="after")
    def _market_fits(self) -> LakeConfig:
        market = self.market
        if market is None:
            return self
        if market.days > self.days:
            raise ValueError(f"the market has {market.days} days, more than the lake's {self.days}")
        for focus in FOCUS_STATES:
            modality = market.queues.get(focus)
            if not any(slot.focus == focus and slot.modality == modality for slot in self.placements.slots):
                raise ValueError(f"market.queues: no slot in focus '{focus}' has the modality '{modality}'")
        if unknown := sorted(set(market.reach) - set(self.population.campaign_objectives)):
            raise ValueError(f"market.reach: no campaign has the objective '{unknown[0]}'")
        return self

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
        chosen = self.model_copy(update={"out": Path(), "replace": False})
        # Lakes without a market were there before there were any.
        shaped = chosen.model_dump(mode="json", exclude={"market"} if self.market is None else None)
        return short_hash(json.dumps(shaped, sort_keys=True))
