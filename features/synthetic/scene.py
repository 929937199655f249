"""Typed configuration of a lake's people, traffic, slots, faults and market."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from camoe.contracts.config_file import Section
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
    """Users and campaigns."""

    age_bands: Weights
    """Relative weights of the users' age bands."""
    markets: Weights
    """Relative weights of the users' markets."""
    systems: Weights
    """Relative weights of the users' operating systems."""
    genres: Weights
    """Relative weights of genres."""
    verticals: Weights
    """Relative weights of the campaigns' verticals."""
    creatives: Weights
    """Relative weights of the campaigns' creatives."""
    campaign_objectives: Weights
    """Relative weights of what campaigns are for."""
    mean_tenure_days: float = Field(gt=0)
    """Mean days that a user has been there."""
    mean_listening_hours: float = Field(gt=0)
    """Mean hours that a user listens."""
    impressions_per_user: int = Field(default=40, ge=1)
    """Impressions for each user, on average."""
    impressions_per_campaign: int = Field(default=500, ge=1)
    """Impressions for each campaign, on average, within the two bounds below."""
    campaigns_at_least: int = Field(default=60, ge=10)
    """Fewest campaigns."""
    campaigns_at_most: int = Field(default=2000, ge=10)
    """Most campaigns."""
    user_changes: Share = 0.3
    """Chance of each further version of a user's row."""
    campaign_changes: Share = 0.5
    """Share of the campaigns whose row changes."""
    targeted: Share = 0.5
    """Chance that a campaign is for two markets only, and, drawn apart, for two age bands; not of those always on."""
    always_on: Share = 0.15
    """Share of the campaigns that always run, for everyone."""


class Traffic(Section):
    """Times and ways in which people listen."""

    session_lengths: tuple[Annotated[int, Field(ge=1, le=50)], ...] = Field(min_length=1)
    """Impressions a session, used in turn."""
    hours: HourWeights
    """Relative weights of the local hours, from midnight."""
    focus_by_hour: HourWeights
    """How much likelier the screen is in view at that hour, relative."""
    focus_change: Share
    """Chance that the focus changes between two impressions."""
    own_genre: Share
    """Share of listening in the favourite genre."""
    user_skew: float = Field(default=1.5, ge=1)
    """How unequal users' shares of the sessions are; at 1 they are equal."""
    devices: dict[Focus, Weights]
    """Relative weights of devices, by focus."""
    connections: Weights
    """Relative weights of connections."""
    pod_positions: Weights
    """Relative weights of positions in a break."""


class Placement(Section):
    """A slot of the lake."""

    slot: SafeName
    """Id of the slot."""
    modality: SafeName
    """Modality of its ads."""
    content: SafeName
    """Content beside which they run."""
    focus: Focus
    """Whether the screen is in view."""
    share: Annotated[float, Field(gt=0)]
    """Its share of the impressions."""
    rates: dict[SafeName, Rate]
    """Its rate of each objective, given what the objective requires."""


class Placements(Section):
    """All slots; shares sum to 1."""

    slots: tuple[Placement, ...] = Field(min_length=1)
    """The slots."""

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


class Faults(Section):
    """Declared faults."""

    duplicates: Share = 0
    """Share of the impressions that come twice."""
    conflicts: Share = 0
    """Share of the impressions that come twice with two times."""
    null_keys: Share = 0
    """Share of the impressions that lack an id."""
    house_ads: Share = 0
    """Share of the impressions that carry a slot outside the catalogue."""
    house_slot: SafeName = "house_promo"
    """That slot."""
    invalid_labels: Share = 0
    """Share of the outcomes that have a value that is no label."""
    duplicate_outcomes: Share = 0
    """Share of the outcomes that come twice."""
    orphan_outcomes: Share = 0
    """Share of the outcomes that name an impression that is not there."""
    late_corrections: Share = 0
    """Share of the versions of users and campaigns that are first wrong and put right later."""
    late_contexts: Share = 0
    """Share of the versions of contexts that are known late."""

    @model_validator(mode="after")
    def _fit(self) -> Faults:
        if self.duplicates + self.conflicts + self.null_keys + self.house_ads > 1:
            raise ValueError("duplicates, conflicts, null_keys and house_ads together are more than all impressions")
        if self.invalid_labels + self.duplicate_outcomes + self.orphan_outcomes > 1:
            raise ValueError("the faulty outcomes together are more than all outcomes")
        return self


class MarketSide(Section):
    """Ad requests on the lake's last days, and the money of its campaigns.

    Campaigns are candidates where they fit the request's market, age, genre, device and queue.
    """

    requests: int = Field(ge=1)
    """Ad requests."""
    days: int = Field(ge=1)
    """Days, the lake's last ones, on which they come."""
    candidates: int = Field(default=12, ge=1, le=200)
    """Candidates of a request, at most."""
    targeted: Share = 0.3
    """Chance that a campaign is targeted by genre, and that it is by device."""
    shifts: dict[str, int] = Field(default_factory=dict)
    """Hours by which a market's day lies later on the lake's clock."""
    queues: dict[Focus, SafeName]
    """Modality whose slots a request of a focus has."""
    pods: Weights
    """Weights of the lengths of pods."""
    formats: Weights
    """Weights of the formats of campaigns."""
    caps: Weights
    """Weights of the caps of campaigns on the impressions of a user."""
    reach: tuple[str, ...] = ()
    """Objectives of campaigns that bid for each impression; the others bid for clicks."""
    reach_bid: float = Field(default=0.02, gt=0)
    """Factor of their bid."""
    budget: float = Field(gt=0)
    """Money a request of all campaigns together."""
    budget_spread: float = Field(default=1.0, ge=0)
    """Standard deviation of the logarithm of campaigns' budgets of a day."""
