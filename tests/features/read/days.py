"""Days, windows and sources of logs that are kept by day."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

from camoe.contracts.sources import Sources
from features.read.window import DayWindow
from tests.features import lake

FIRST = date(2026, 3, 28)
DAY_S = 86_400


def day(number: int) -> date:
    """Return the day so many days after the first."""
    return FIRST + timedelta(days=number)


def window(*numbers: int, as_of: str = "2026-05-01T00:00:00+00:00") -> DayWindow:
    """Return the window of a run of these days."""
    return DayWindow("Europe/Stockholm", tuple(day(number) for number in numbers), datetime.fromisoformat(as_of))


def sources(window_s: int = 60, **changes: object) -> Sources:
    """Return those of the small lake, its impressions in folders by day, with changes to sections."""
    settings = lake.config(Path("-"))["sources"]
    settings["objectives"]["click"]["window_s"] = window_s
    settings["impressions"]["path"] = "log/{day}"
    for name, change in changes.items():
        settings[name].update(change)
    return Sources.model_validate(settings)
