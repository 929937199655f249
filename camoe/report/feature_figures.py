"""The pictures of the feature report, each drawn on given axes from features.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.ticker import NullLocator, PercentFormatter

from camoe.report import text
from camoe.report.feature_view import TRAINING, Document
from camoe.report.style import CYCLE, GREY, GRID, INK, tidy

# More days than this leave no room for a number in each cell.
NUMBERED_DAYS = 14
STEPS = (0.0, 0.02, 0.05, 0.1, 0.25, 1.0)
SHADES = ("#f5f7fa", "#dbe8f2", "#a9cbe3", "#f6c667", "#e98a4b", "#b8410b")
# Smaller indices are left blank.
WORTH_A_NUMBER = 0.01
PERCENTILES = ("p50", "p90", "p99")
# Lengths of time, in seconds, that an axis may name.
SPANS = (
    1,
    5,
    15,
    60,
    300,
    900,
    3600,
    10_800,
    43_200,
    *(86_400 * days for days in (1, 3, 7, 14, 30, 60, 180, 365, 1000)),
)


def draw_shift(axes: Axes, features: Sequence[Document], days: Mapping[str, str]) -> None:
    """Draw the PSI of each feature on each day as a heat map; `days` maps days to groups, which a line parts."""
    values = np.array([[_index(feature, day) for day in days] for feature in features])
    norm = BoundaryNorm([*STEPS, np.inf], len(SHADES))
    axes.imshow(values, cmap=ListedColormap(SHADES), norm=norm, aspect="auto")
    if len(days) <= NUMBERED_DAYS:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value) and value >= WORTH_A_NUMBER:
                colour = "white" if value >= STEPS[-2] * 2 else INK
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_yticks(range(len(features)), [feature["name"] for feature in features])
    step = max(1, len(days) // NUMBERED_DAYS)
    shown = list(enumerate(days))[::step]
    axes.set_xticks([place for place, _ in shown], [_short(day) for _, day in shown])
    groups = list(days.values())
    for place in range(1, len(groups)):
        if groups[place] != groups[place - 1]:
            axes.axvline(place - 0.5, color=INK, linewidth=1.5)
    _name_groups(axes, groups)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def draw_shares(axes: Axes, features: Sequence[Document], what: str, groups: Sequence[str]) -> None:
    """Share of missing or unknown rows of each feature: a bar for the training days, a dot for each later group."""
    places = np.arange(len(features))
    before = [feature["groups"].get(TRAINING, {}).get(what) or 0.0 for feature in features]
    axes.barh(places, before, color=GRID, edgecolor=GREY, linewidth=0.6, height=0.62, label="training days")
    for name, colour in zip(groups, CYCLE, strict=False):
        shares = [feature["groups"][name][what] for feature in features]
        at = np.array([np.nan if share is None else share for share in shares])
        axes.scatter(at, places, color=colour, s=30, zorder=3, label=name)
    axes.set_yticks(places, [feature["name"] for feature in features])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(f"{what} rows")
    tidy(axes, "x")
    axes.legend(frameon=False, ncols=1 + len(groups), loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2)


def draw_ages(axes: Axes, entity: Document) -> None:
    """Draw percentiles of the age of an entity's rows by day."""
    days = [item for item in entity["days"] if item["age_s"] is not None]
    for name, colour in zip(PERCENTILES, CYCLE, strict=False):
        ages = [max(item["age_s"][name], 1.0) for item in days]
        axes.plot(range(len(days)), ages, color=colour, marker="o", markersize=4, label=name)
    axes.set_yscale("log")
    axes.margins(y=0.15)
    low, high = axes.get_ylim()
    if sum(low <= span <= high for span in SPANS) < 2:
        # Ages that lie close together: without the lengths around them nothing would tell how old they are.
        low = max((span for span in SPANS if span <= low), default=low)
        high = min((span for span in SPANS if span >= high), default=high)
        axes.set_ylim(low, high)
    ticks = [span for span in SPANS if low <= span <= high]
    axes.set_yticks(ticks, [text.span(span) for span in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
    step = max(1, len(days) // 4)
    axes.set_xticks(range(0, len(days), step), [_short(item["date"]) for item in days[::step]])
    axes.set_title(f"Age of {entity['name']} rows")
    tidy(axes, "y")
    axes.legend(frameon=False, ncols=3)


def _index(feature: Document, day: str) -> float:
    value = feature["days"].get(day, {}).get("psi")
    return np.nan if value is None else float(value)


def _short(day: str) -> str:
    when = date.fromisoformat(day)
    return f"{when.day} {when:%b}"


def _name_groups(axes: Axes, groups: Sequence[str]) -> None:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(groups):
        places.setdefault(name, []).append(place)
    upper: Any = axes.secondary_xaxis("top")
    upper.set_xticks([float(np.mean(of)) for of in places.values()], list(places))
    upper.tick_params(length=0)
    upper.spines[:].set_visible(False)
