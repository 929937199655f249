"""Outcome probabilities: a score from declared effects, an intercept per slot and objective that hits its rate."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError
from features.synthetic.clock import Clock
from features.synthetic.config import Effect, LakeConfig
from features.synthetic.draws import Draws

SCORE = "_score"
# Impressions that the intercepts are fitted on: the first ones, so that they depend on (config, seed) only.
CALIBRATION_ROWS = 60_000
BISECTIONS = 60
LOGIT_BOUND = 30.0
# A uniform draw on [0, 1) less one half has standard deviation 1 / sqrt(12).
TO_UNIT_DEVIATION = 12**0.5

Intercepts = Mapping[str, Mapping[str, float]]
Floats = NDArray[np.float64]


def with_score(frame: DataFrame, config: LakeConfig) -> DataFrame:
    """Add `_score`, the log-odds that all objectives share, and each objective's `_own_<objective>`.

    Effects see the impression's true state plus modality, day_part, day_type and tenure_band.

    Raises:
        ConfigError: an effect names a column that is not there.
    """
    seen = _with_bands(frame, config)
    for effect in config.signal.effects:
        missing = sorted(set(effect.by) - set(seen.columns))
        if missing:
            raise ConfigError(f"signal.effects: no column '{missing[0]}'; choose from {', '.join(seen.columns)}")
    score = reduce(add, effect_terms(config).values(), F.lit(0.0))
    own = {
        own_column(name): _cells(config, f"own:{name}", config.signal.own_effect_by, objective.own)
        for name, objective in config.signal.objectives.items()
    }
    return seen.withColumns({SCORE: score, **own})


def effect_terms(config: LakeConfig) -> dict[str, Column]:
    """Return what each effect adds to the score, by its name; columns of what `with_score` returns."""
    return {effect.name: _value(effect, config) * _response(effect, config) for effect in config.signal.effects}


def own_column(objective: str) -> str:
    """Return the column of an objective's own effect."""
    return f"_own_{objective}"


def probability_column(objective: str) -> str:
    """Return the column of an objective's true probability, given what it requires."""
    return f"_p_{objective}"


def intercepts(scored: DataFrame, config: LakeConfig) -> dict[str, dict[str, float]]:
    """Fit an intercept by objective and slot: the slot's first impressions get the declared rate as mean probability.

    An objective that requires another is weighted by that one's probability. A slot without an impression among
    the first gets the logit of its rate.
    """
    own = [own_column(name) for name in config.signal.objectives]
    first = scored.where(F.col("impression_id") < CALIBRATION_ROWS).select("impression_id", "slot", SCORE, *own)
    sample = first.toPandas().sort_values("impression_id")
    found: dict[str, dict[str, float]] = {name: {} for name in config.signal.objectives}
    for slot in config.placements.slots:
        rows = sample[sample["slot"] == slot.slot]
        reached: dict[str, Floats] = {}
        for name, objective in config.signal.objectives.items():
            logits = objective.loading * rows[SCORE].to_numpy() + rows[own_column(name)].to_numpy()
            weights = reached[objective.requires] if objective.requires else np.ones(len(rows))
            shift = solve(logits, weights, slot.rates[name])
            found[name][slot.slot] = shift
            reached[name] = weights * _sigmoid(logits + shift)
    return found


def solve(logits: Floats, weights: Floats, rate: float) -> float:
    """Find the shift at which the weighted mean of sigmoid(logits + shift) is `rate`, by bisection."""
    if not len(logits):
        return float(np.log(rate / (1 - rate)))
    low, high = -LOGIT_BOUND, LOGIT_BOUND
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        if np.average(_sigmoid(logits + middle), weights=weights) < rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def with_probabilities(scored: DataFrame, config: LakeConfig, shifts: Intercepts) -> DataFrame:
    """Add `_p_<objective>`: the true probability of each objective, given the one that it requires."""
    columns = {}
    for name, objective in config.signal.objectives.items():
        shift = by_value("slot", shifts[name])
        logit = shift + objective.loading * F.col(SCORE) + F.col(own_column(name))
        columns[probability_column(name)] = F.lit(1.0) / (F.lit(1.0) + F.exp(-logit))
    return scored.withColumns(columns)


def true_probability(objective: str, config: LakeConfig) -> Column:
    """Return the probability of `objective` for an impression, what it requires included."""
    required = config.signal.objectives[objective].requires
    own = F.col(probability_column(objective))
    return own if required is None else own * true_probability(required, config)


def by_value(column: str, values: Mapping[str, Any]) -> Column:
    """Look up `values` by `column`; null where it has none."""
    return F.coalesce(*[F.when(F.col(column) == key, F.lit(value)) for key, value in values.items()])


def _with_bands(frame: DataFrame, config: LakeConfig) -> DataFrame:
    local = Clock(config.first_day, config.days, config.zone).local(F.col("ts"))
    hour, tenure = F.hour(local), F.col("tenure_days")
    part = F.when(hour < 6, "night").when(hour < 11, "morning").when(hour < 17, "day").otherwise("evening")
    return frame.withColumns(
        {
            "modality": by_value("slot", {slot.slot: slot.modality for slot in config.placements.slots}),
            "day_part": part,
            # Spark counts the days of the week from Monday, 0.
            "day_type": F.when(F.weekday(local) >= 5, "weekend").otherwise("workday"),
            "tenure_band": F.when(tenure < 90, "new").when(tenure < 730, "settled").otherwise("loyal"),
        }
    )


def _value(effect: Effect, config: LakeConfig) -> Column:
    if effect.slope:
        return (F.log1p(F.col(effect.by[0]).cast("double")) - effect.centre) * effect.strength
    return _cells(config, "effect:" + "*".join(effect.by), effect.by, effect.strength)


def _cells(config: LakeConfig, purpose: str, by: tuple[str, ...], strength: float) -> Column:
    uniform = Draws(config.signal.world).uniform(purpose, *by)
    return (uniform - 0.5) * (TO_UNIT_DEVIATION * strength)


def _response(effect: Effect, config: LakeConfig) -> Column:
    modalities = dict.fromkeys(slot.modality for slot in config.placements.slots)
    factors = {name: 1 + config.divergence * (effect.response.get(name, 1.0) - 1) for name in modalities}
    return by_value("modality", factors)


def _sigmoid(logits: Floats) -> Floats:
    values: Floats = 1 / (1 + np.exp(-logits))
    return values
