"""Training, validation and test days, in one declared time zone, for all jobs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.shown.suggestions import alike, why_no_day


def _known_zone(zone: str) -> str:
    if zone not in available_timezones():
        meant = alike(zone, available_timezones())
        choose = f"did you mean '{meant}'?" if meant else "for example Europe/Stockholm"
        raise ValueError(f"'{zone}' is no IANA time zone; {choose}")
    return zone


Zone = Annotated[str, AfterValidator(_known_zone)]


def days_between(first: date, last: date) -> tuple[date, ...]:
    """Return the days from `first` to `last`, both included; none where that is earlier."""
    return tuple(first + timedelta(days=step) for step in range((last - first).days + 1))


class DayRange(Section):
    """Days from the first to the last, both included."""

    first: date
    """First day."""
    last: date
    """Last day."""
    as_of: datetime | None = None
    """When the labels of these days are taken (ISO, in the zone where it names none). Null: of training and validation
    days when the first test day begins, of test days as late as a run knows them."""

    @model_validator(mode="after")
    def _ordered(self) -> DayRange:
        if self.last < self.first:
            raise ValueError(f"last day {self.last} lies before first day {self.first}")
        return self

    def days(self) -> tuple[date, ...]:
        """Return every day of the range, in order."""
        return days_between(self.first, self.last)


class Days(Section):
    """Training, validation and test days, one after the other. A day is the event time's date in the zone."""

    zone: Zone = "UTC"
    """IANA time zone, for example Europe/Stockholm."""
    train: DayRange
    """Days that a model learns from."""
    validation: DayRange
    """Days that choose the best weights and calibrate them; after the training days."""
    test: DayRange
    """Days that a model is measured on; after the validation days."""
    as_of: datetime | None = None
    """What was known at that time (ISO, in the zone where it names none); null: all outcomes are known."""

    @model_validator(mode="after")
    def _in_order(self) -> Days:
        if not self.train.last < self.validation.first <= self.validation.last < self.test.first:
            raise ValueError("training days must lie before validation days, and those before test days")
        return self

    def all_days(self) -> tuple[date, ...]:
        """Return the training, validation and test days, in order."""
        return self.train.days() + self.validation.days() + self.test.days()

    def label_cuts(self) -> dict[date, datetime]:
        """Return, for days whose labels are not taken as late as a run knows them, the time when they are, in UTC.

        That is as declared, else for training and validation days when the first test day begins: so late training
        could have run for it, and what became known afterwards would not have been there.
        """
        midnight = datetime.combine(self.test.first, time())
        declared = ((self.train, midnight), (self.validation, midnight), (self.test, None))
        cuts = {part: part.as_of or default for part, default in declared}
        return {
            day: in_zone(cut, self.zone).astimezone(UTC) for part, cut in cuts.items() if cut for day in part.days()
        }

    def known_at(self, longest_maturity_s: int, last: date | None = None) -> datetime:
        """Return the as-of time, with its zone: as declared, else when every label is mature.

        That of `last` and of the last test day, whichever is later.
        """
        if self.as_of is not None:
            return in_zone(self.as_of, self.zone)
        final = max(self.test.last, last or self.test.last)
        midnight = datetime.combine(final + timedelta(days=1), time(), ZoneInfo(self.zone))
        # In the zone itself the sum would count wall-clock hours, one too few or too many over a change of clocks.
        return midnight.astimezone(UTC) + timedelta(seconds=longest_maturity_s)


def in_zone(moment: datetime, zone: str) -> datetime:
    """Return `moment` with its zone, `zone` where it has none."""
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))


def parse_days(text: str) -> tuple[date, ...]:
    """Parse days from `2026-03-02,2026-03-05..2026-03-07`: single ones and ranges (both ends included), in order.

    Raises:
        ValueError: a part is neither, or a range ends before it begins.
    """
    found: set[date] = set()
    for part in text.split(","):
        first, dots, last = part.strip().partition("..")
        days = days_between(_day(first), _day(last if dots else first))
        if not days:
            raise ValueError(f"the last day of {part.strip()} lies before its first")
        found.update(days)
    return tuple(sorted(found))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is no day: {why_no_day(text)}") from None


def day_list(days: Iterable[date]) -> str:
    """Write days as `parse_days` reads them, neighbours as ranges."""
    runs: list[list[date]] = []
    for day in sorted(set(days)):
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(run[0].isoformat() if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)
