"""What one feature run is about: its days in their time zone, and the time as of which labels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class DayWindow:
    """The `days` (dates in `zone`, in order) that a run builds, and `as_of` (with its zone): what was known then."""

    zone: str
    days: tuple[date, ...]
    as_of: datetime

    def begins(self, day: date) -> datetime:
        """The first instant of `day` in the zone."""
        return datetime.combine(day, time(), ZoneInfo(self.zone)).astimezone(UTC)

    def reached(self, seconds: int) -> tuple[date, ...]:
        """The days on which something can happen within `seconds` of an impression of the run's days, in order."""
        found: set[date] = set()
        for day in self.days:
            last = self.begins(day + timedelta(days=1)) + timedelta(seconds=seconds, microseconds=-1)
            found.update(_days(day, last.astimezone(ZoneInfo(self.zone)).date()))
        return tuple(sorted(found))

    def before(self, days: int) -> tuple[date, ...]:
        """Days that lie at most `days` before one of the run's and are none of them, in order."""
        found = {day - timedelta(days=back) for day in self.days for back in range(1, days + 1)}
        return tuple(sorted(found.difference(self.days)))


def _days(first: date, last: date) -> Sequence[date]:
    return [first + timedelta(days=step) for step in range((last - first).days + 1)]
