"""Days of a feature run in their time zone, and the time as of which labels are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from camoe.contracts.days import days_between


@dataclass(frozen=True)
class DayWindow:
    """Days that a run builds, and the time as of which it takes its input.

    `days`: dates in `zone`, in order. `as_of` (with its zone): the run uses what was known then. `label_cuts`: earlier
    times as of which the labels of some days are taken.
    """

    zone: str
    days: tuple[date, ...]
    as_of: datetime
    label_cuts: Mapping[date, datetime] = field(default_factory=dict)

    def begins(self, day: date) -> datetime:
        """Return the first instant of `day` in the zone, in UTC."""
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)

    def label_as_of(self, day: date) -> datetime:
        """Return the time as of which the labels of `day` are taken."""
        return min(self.as_of, self.label_cuts.get(day, self.as_of))

    def reached(self, seconds: int) -> tuple[date, ...]:
        """Return, in order, the days on which something can happen within `seconds` of an impression of the run."""
        found: set[date] = set()
        for day in self.days:
            last = self.begins(day + timedelta(days=1)) + timedelta(seconds=seconds, microseconds=-1)
            found.update(days_between(day, last.astimezone(ZoneInfo(self.zone)).date()))
        return tuple(sorted(found))

    def until_as_of(self) -> tuple[date, ...]:
        """Return, in order, the days from the run's first on that had begun by the as-of time, and the run's."""
        last = max(self.as_of.astimezone(ZoneInfo(self.zone)).date(), self.days[-1])
        return days_between(self.days[0], last)

    def before(self, days: int) -> tuple[date, ...]:
        """Return the days that lie at most `days` before one of the run's and are none of them, in order."""
        found = {day - timedelta(days=back) for day in self.days for back in range(1, days + 1)}
        return tuple(sorted(found.difference(self.days)))
