"""The rules of a market, and of an experiment in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.places.objects import Folder
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName

MICROS = 1_000_000
# Models that are always there: the truth, and the mean true rate of the slot alone.
ORACLE, SLOT_RATE = "oracle", "slot_rate"
Share = Annotated[float, Field(gt=0, le=1)]


class Pacing(Section):
    """How a campaign's bid multiplier follows its plan: the daily budget spread like the traffic that it may have.

    At each tick the multiplier's logarithm moves by what was spent less than planned: a proportional and integral
    control of what Agarwal et al. follow by fixed steps, a forecast of traffic ("Budget pacing for targeted online
    advertisements at LinkedIn", KDD 2014).
    """

    enabled: bool = True
    """Whether bids are paced; false leaves all multipliers at 1."""
    start: Share = 0.5
    """Multiplier before the first tick of the first day."""
    gain: float = Field(default=0.15, ge=0)
    """Move for each mean tick of spend that the last tick spent less than planned."""
    catch_up: float = Field(default=0.02, gt=0)
    """Move for each mean tick of spend that the day spent less than planned."""
    step: float = Field(default=0.2, gt=0)
    """Largest move of a tick."""
    floor: Share = 0.02
    """Least multiplier; the greatest is 1."""


class Rules(Section):
    """The auction. Money is in the lake's currency."""

    charge: Literal["impression", "click"] = "impression"
    """What campaigns that bid for clicks pay for; the others pay for impressions."""
    spend: Literal["drawn", "expected"] = "drawn"
    """Clicks that are charged: drawn ones, or each by its true probability."""
    reserve: float = Field(default=0.0, ge=0)
    """Least price of a thousand impressions."""
    ticks: int = Field(default=96, ge=1)
    """Ticks of a day, at whose beginnings bids are paced."""
    exposure: tuple[Share, ...] = Field(default=(1.0,), min_length=1)
    """Chance that a pod's first, second ... ad is heard, relative to the first; one for each place of the longest."""
    pacing: Pacing = Pacing()
    """Pacing of the bids."""
    seed: int = 1
    """Seed of the drawn clicks."""


class ExperimentConfig(Section):
    """Two models, and the users that see each."""

    control: str
    """Model of the users that are not treated."""
    treated: str
    """Model of the treated users."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Share of the users that is treated."""
    salt: str = "1"
    """Salt of the hash that chooses them."""
    buckets: int = Field(default=256, ge=20)
    """Buckets of users that intervals resample."""
    repeats: int = Field(default=1000, ge=100)
    """Resamples."""
    level: Annotated[float, Field(gt=0, lt=1)] = 0.005
    """Level of the two-sided test whose power is foreseen."""
    power: Annotated[float, Field(gt=0, lt=1)] = 0.8
    """Probability with which it is to see a change."""
    wanted: float = Field(default=0.014, gt=0)
    """Relative change of the CTR that it is to see."""


class Outcomes(Section):
    """A model that stands for the truth of a log that is replayed; it must know none of the market's days."""

    predictions: Folder
    """Table of its predictions of the candidates."""
    bundle: Folder
    """Its bundle, which says from which days it learned."""


class SimulationConfig(Section):
    """A simulation: a market, the models that ranked its candidates, the rules and the experiment.

    Each folder may be one in an object store, `s3://bucket/path`.
    """

    market: Folder
    """Folder of the synthetic lake that has the market, or of a log that is replayed (`jobs/replay.py`)."""
    out: Folder
    """Folder of the page."""
    models: dict[SafeName, Folder] = Field(default_factory=dict)
    """By name the table of each model's predictions; beside them there are `oracle` and `slot_rate`."""
    versions: dict[SafeName, str] = Field(default_factory=dict)
    """By name the version of the model that is meant, of a table with predictions of several."""
    outcomes: Outcomes | None = None
    """The model that stands for the truth; null where the lake has the truth itself."""
    rules: Rules = Rules()
    """Rules of the auction."""
    experiment: ExperimentConfig
    """The experiment."""

    @model_validator(mode="after")
    def _known(self) -> SimulationConfig:
        known = {*self.models, ORACLE, SLOT_RATE}
        for name in (self.experiment.control, self.experiment.treated):
            if name not in known:
                raise ValueError(f"experiment: no model '{name}'; {suggestion(name, known)}")
        for name in self.versions:
            if name not in self.models:
                raise ValueError(f"versions: no model '{name}'; {suggestion(name, self.models)}")
        return self
