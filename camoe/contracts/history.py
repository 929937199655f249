"""History features as declared: keys, objectives and windows, and the features that these make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName

ALL = "all"
# Days as a whole, so that the states of days add up to each window; `all` is as far back as the horizon.
WindowName = Annotated[str, StringConstraints(pattern=r"^(all|[1-9][0-9]{0,3}d)$")]
Made = Literal["counts", "rates", "ages"]
Treatment = Literal["identity", "log1p"]
IMPRESSION = "impression"


class HistoryKey(Section):
    """A key set: impressions with equal values of all of its expressions share counts. A list is its `by`."""

    by: tuple[str, ...] = ()
    """Spark SQL expressions, which see what a categorical's sees. Without any, all impressions share counts."""
    parent: SafeName | None = None
    """Key set towards whose rates its own are drawn; null is the key set without expressions."""
    make: tuple[Made, ...] | None = None
    """What it makes; null is what the whole history makes."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, given: Any) -> Any:
        return {"by": given} if isinstance(given, list | tuple) else given


@dataclass(frozen=True)
class HistoryFeature:
    """A number of the history, at position `window` of the windows where it has one.

    `made` says what: the count of impressions, the rate of `of` (an objective), or the seconds since the last
    impression or positive `of`.
    """

    name: str
    key: str
    made: Made
    of: str
    window: int = 0

    @property
    def transform(self) -> Treatment:
        """Transform by the model, as of a numeric; rates have their own when they are made."""
        return "identity" if self.made == "rates" else "log1p"


class Leaks(Section):
    """From when on a number of the history is named as a leak. It shapes no table: it can change without a rebuild."""

    auc: float = Field(default=0.97, gt=0.5, le=1)
    """ROC-AUC with which a leak ranks an objective alone."""
    fall: float = Field(default=0.1, gt=0, le=0.5)
    """ROC-AUC by which a leak ranks better on the training days than on the day after."""
    positives: int = Field(default=50, ge=1)
    """Positives, and negatives, below which a group of days says nothing."""


class History(Section):
    """Counts and rates of what came before each impression, from the impression log and the outcomes.

    An impression at t sees those that were known before t - `delay_s`: an impression from its own time on, its outcome
    of each of the `objectives` once that has matured.
    """

    since: date
    """First day that counts."""
    delay_s: int = Field(default=0, ge=0)
    """Seconds that it takes until the history knows of something."""
    horizon_days: int = Field(default=365, ge=1, le=3650)
    """Whole days before t - `delay_s` after which something no longer counts."""
    objectives: tuple[SafeName, ...] = ()
    """Objectives whose rates, and times since the last positive, are made."""
    windows: tuple[WindowName, ...] = Field(default=(ALL,), min_length=1, max_length=15)
    """Windows of counts and rates: whole days before t - `delay_s` (`7d`), or `all`, as far back as the horizon."""
    keys: dict[SafeName, HistoryKey] = Field(min_length=1, max_length=127)
    """Key sets, by name."""
    make: tuple[Made, ...] = ("counts", "rates", "ages")
    """What a key set makes: the count of impressions and per objective the rate, smoothed, in each window, and the
    seconds since the last impression and the last positive; one without expressions makes rates only."""
    smoothing: Literal["fitted"] | Annotated[float, Field(gt=0)] = 20.0
    """Weight of the parent's rate, in impressions; `fitted`: the one of the least log loss on the training days."""
    transform: Literal["identity", "logit"] = "logit"
    """How a rate is written: as it is, or as its log-odds."""
    leaks: Leaks = Leaks()
    """From when on a number of the history is named as a leak."""

    @model_validator(mode="after")
    def _consistent(self) -> History:
        for what, names in (("windows", self.windows), ("objectives", self.objectives)):
            if len(set(names)) < len(names):
                raise ValueError(f"history: {what} must differ")
        if IMPRESSION in self.objectives:
            raise ValueError(f"history: an objective named '{IMPRESSION}' would give two features one name")
        long = [window for window in self.windows if self.days_of(window) > self.horizon_days]
        if long:
            raise ValueError(f"history: the window {long[0]} is longer than horizon_days={self.horizon_days}")
        for name in self.keys:
            self._require_parent(name)
        try:
            TopologicalSorter({name: [parent] for name in self.keys if (parent := self.parent_of(name))}).prepare()
        except CycleError as error:
            raise ValueError(f"history: key sets are parents in a circle: {' -> '.join(error.args[1])}") from None
        return self

    def _require_parent(self, name: str) -> None:
        parent = self.parent_of(name)
        if parent is not None and parent not in self.keys:
            choose = suggestion(parent, self.keys)
            raise ValueError(f"history: the parent '{parent}' of '{name}' is no key set; {choose}")
        if parent is None and self.keys[name].by and "rates" in self.made_of(name):
            raise ValueError(
                f"history: the rates of '{name}' have no parent to be smoothed towards; give it one, or declare a key "
                "set without expressions, such as all: []"
            )

    def days_of(self, window: str) -> int:
        """Return the whole days before that of t - `delay_s` which the window reaches back."""
        return self.horizon_days if window == ALL else int(window[:-1])

    def parent_of(self, name: str) -> str | None:
        """Return the key set towards whose rates those of `name` are smoothed; None without one."""
        key = self.keys[name]
        if key.parent is not None or not key.by:
            return key.parent
        return next((other for other, item in self.keys.items() if not item.by), None)

    def made_of(self, name: str) -> tuple[Made, ...]:
        """Return what the key set `name` makes."""
        key = self.keys[name]
        if key.make is not None:
            return key.make
        return self.make if key.by else tuple(made for made in self.make if made == "rates")

    @property
    def parents_first(self) -> tuple[str, ...]:
        """Names of the key sets, each after its parent."""
        above = {name: [parent] if (parent := self.parent_of(name)) else [] for name in self.keys}
        return tuple(TopologicalSorter(above).static_order())

    @property
    def features(self) -> tuple[HistoryFeature, ...]:
        """All features that the history makes, in the order in which the model reads them.

        They are `<key>_impressions_<window>`, `<key>_<objective>_rate_<window>`, `<key>_since_impression` and
        `<key>_since_<objective>`.
        """
        return tuple(feature for name in self.keys for feature in self._features(name))

    def _features(self, key: str) -> list[HistoryFeature]:
        made, windows = self.made_of(key), list(enumerate(self.windows))
        found = []
        if "counts" in made:
            found += [
                HistoryFeature(f"{key}_impressions_{name}", key, "counts", IMPRESSION, at) for at, name in windows
            ]
        if "rates" in made:
            found += [
                HistoryFeature(f"{key}_{of}_rate_{name}", key, "rates", of, at)
                for of in self.objectives
                for at, name in windows
            ]
        if "ages" in made:
            found += [HistoryFeature(f"{key}_since_{of}", key, "ages", of) for of in (IMPRESSION, *self.objectives)]
        return found
