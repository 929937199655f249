"""Counts and times of the history as numbers for the model: logarithms are the model's, rates are smoothed here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.history import HistoryFeature
from features.history.events import known_day
from features.history.keys import MICROSECONDS, Layout
from features.history.lookup import NUMBERS
from features.history.scan import NOTHING

# So that a logit and a log loss are finite.
LEAST = 1e-6


def with_history(rows: DataFrame, layout: Layout, weights: Mapping[str, float], zone: str) -> DataFrame:
    """Add `num_<name>` (float) of each feature of the history; `rows` have `ts` and `_numbers`.

    The rate of a key set with n labels, p of them positive, and the weight w is (p + w q) / (n + w) for the rate q of
    its parent. Without one it is p / n, null for n = 0. All numbers are null where the key is.
    """
    rated = _rated(rows, layout, weights)
    made = {f"num_{item.name}": _number(item, layout, zone).cast("float") for item in layout.history.features}
    return rated.withColumns(made).drop(*[name for name in rated.columns if name.startswith("_rate_")])


def rate_name(layout: Layout, key: str, objective: str, window: int) -> str:
    """Return the name under which the weight of a rate is kept, which is that of its feature."""
    return f"{key}_{objective}_rate_{layout.history.windows[window]}"


def cells_of(layout: Layout) -> list[tuple[str, int]]:
    """Return the objective and the position of the window of each rate of a key set."""
    windows = range(len(layout.history.windows))
    return [(of, at) for of in layout.history.objectives for at in windows]


def rate_names(layout: Layout) -> tuple[str, ...]:
    """Return the names of all rates."""
    return tuple(rate_name(layout, name, of, at) for name in layout.history.keys for of, at in cells_of(layout))


def _rated(rows: DataFrame, layout: Layout, weights: Mapping[str, float]) -> DataFrame:
    """Add the rates of all key sets level by level, so that none is computed twice."""
    depth: dict[str, int] = {}
    for name in layout.history.parents_first:
        parent = layout.history.parent_of(name)
        depth[name] = 0 if parent is None else depth[parent] + 1
    levels = [[name for name in depth if depth[name] == level] for level in sorted(set(depth.values()))]

    def add(made: DataFrame, level: list[str]) -> DataFrame:
        return made.withColumns(
            {
                _rate_column(name, of, at): _smoothed(layout, name, of, at, weights[rate_name(layout, name, of, at)])
                for name in level
                for of, at in cells_of(layout)
            }
        )

    return reduce(add, levels, rows)


def _rate_column(key: str, objective: str, window: int) -> str:
    return f"_rate_{key}_{objective}_{window}"


def _smoothed(layout: Layout, key: str, of: str, at: int, weight: float) -> Column:
    positive = _told(layout.place_of_count(key, f"p_{of}", at))
    known = _told(layout.place_of_count(key, f"n_{of}", at))
    plain = F.when(known > 0, positive / known)
    parent = layout.history.parent_of(key)
    if parent is None:
        return plain
    towards = F.col(_rate_column(parent, of, at))
    return F.when(towards.isNull(), plain).otherwise((positive + weight * towards) / (known + weight))


def _number(item: HistoryFeature, layout: Layout, zone: str) -> Column:
    if item.made == "counts":
        return _told(layout.place_of_count(item.key, f"n_{item.of}", item.window))
    if item.made == "rates":
        rate = F.col(_rate_column(item.key, item.of, item.window))
        return _logit(rate) if layout.history.transform == "logit" else rate
    last = _told(layout.place_of_time(item.key, item.of))
    known = F.timestamp_micros(last + layout.lags_s[item.of] * MICROSECONDS)
    seen = F.unix_micros("ts") - layout.history.delay_s * MICROSECONDS
    first = F.date_sub(known_day(zone, seen), layout.history.horizon_days)
    old = F.from_utc_timestamp(known, zone).cast("date") < first
    return F.when(~old, (F.unix_micros("ts") - last) / MICROSECONDS)


def _told(place: int) -> Column:
    number = F.get(NUMBERS, F.lit(place))
    return F.when(number != NOTHING, number)


def _logit(rate: Column) -> Column:
    inside = F.greatest(F.least(rate, F.lit(1 - LEAST)), F.lit(LEAST))
    return F.when(rate.isNotNull(), F.ln(inside / (1 - inside)))
