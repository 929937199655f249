"""The rules of a market, and of an experiment in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName

MICROS = 1_000_000
# Models that are always there: the truth, and the mean true rate of the slot alone.
ORACLE, SLOT_RATE = "oracle", "slot_rate"
Share = Annotated[float, Field(gt=0, le=1)]


class Pacing(Section):
    """How a campaign's bid multiplier follows its plan: the daily budget spread like the traffic that it may have.

    A multiplier begins at `start`. At each tick its logarithm moves by `gain` times what the last tick spent less than
    planned, and `catch_up` times what the day did, both in mean ticks of spend, but by no more than `step`; it stays
    between `floor` and 1. A proportional and integral control of what Agarwal et al. follow by fixed steps, a forecast
    of traffic ("Budget pacing for targeted online advertisements at LinkedIn", KDD 2014). `enabled: false` leaves all
    at 1.
    """

    enabled: bool = True
    start: Share = 0.5
    gain: float = Field(default=0.15, ge=0)
    catch_up: float = Field(default=0.02, gt=0)
    step: float = Field(default=0.2, gt=0)
    floor: Share = 0.02


class Rules(Section):
    """The auction. Money is in the lake's currency; a `reserve` is the least price of a thousand impressions.

    `charge` says what campaigns that bid for clicks pay for; the others pay for impressions. `spend: expected` charges
    clicks by their true probability in place of drawn ones. `exposure` is the chance that a pod's first, second ... ad
    is heard, relative to the first; its length is the longest pod.
    """

    charge: Literal["impression", "click"] = "impression"
    spend: Literal["drawn", "expected"] = "drawn"
    reserve: float = Field(default=0.0, ge=0)
    ticks: int = Field(default=96, ge=1)
    exposure: tuple[Share, ...] = Field(default=(1.0,), min_length=1)
    pacing: Pacing = Pacing()
    seed: int = 1


class ExperimentConfig(Section):
    """An experiment: a `share` of the users, by a hash with `salt`, is ranked by the `treated` model.

    Intervals resample `buckets` of users `repeats` times. Power is foreseen for a test at `level` that sees a change of
    the CTR by `wanted` with probability `power`.
    """

    control: str
    treated: str
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    salt: str = "1"
    buckets: int = Field(default=256, ge=20)
    repeats: int = Field(default=1000, ge=100)
    level: Annotated[float, Field(gt=0, lt=1)] = 0.005
    power: Annotated[float, Field(gt=0, lt=1)] = 0.8
    wanted: float = Field(default=0.014, gt=0)


class SimulationConfig(Section):
    """A simulation: the synthetic `market` (folder of its lake), and by name the tables of each model's predictions.

    `out` is the folder of the page. Beside the `models` there are `oracle` and `slot_rate`.
    """

    market: Path
    out: Path
    models: dict[SafeName, Path] = Field(default_factory=dict)
    rules: Rules = Rules()
    experiment: ExperimentConfig

    @model_validator(mode="after")
    def _known(self) -> SimulationConfig:
        known = {*self.models, ORACLE, SLOT_RATE}
        for name in (self.experiment.control, self.experiment.treated):
            if name not in known:
                raise ValueError(f"experiment: no model '{name}'; {suggestion(name, known)}")
        return self
