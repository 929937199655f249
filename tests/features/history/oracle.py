"""Random impressions with outcomes, and a search of all of them for what each could know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from math import log1p
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from camoe.contracts.sequences import SequenceFeature
from features.history.keys import MICROSECONDS, Layout
from features.history.scan import NOTHING

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# One user has a third of the rows; some have no name.
USERS = ["hot", "hot", "hot", "a", "b", "c", "d", None]
SLOTS = ["left", "right", "right", None]


class Shown(NamedTuple):
    """An impression at `at` (microseconds) with what was known of each objective when it matured."""

    impression_id: str
    user_id: str | None
    slot: str | None
    at: int
    labels: tuple[int | None, ...]


def instants(days: Sequence[date], zone: str) -> list[int]:
    """Microseconds at which the hours of `days` begin in `zone`, also those that a change of clocks repeats."""
    begin = datetime.combine(days[0], datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    end = datetime.combine(days[-1] + timedelta(days=1), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)
    hours = int((end - begin).total_seconds()) // 3600
    return [((begin + timedelta(hours=hour)) - EPOCH) // timedelta(microseconds=1) for hour in range(hours)]


def impressions(draw: Random, days: Sequence[date], zone: str, objectives: int, rows: int = 400) -> list[Shown]:
    """Impressions near full hours, so that ties, and differences of exactly a lag or a delay, are common."""
    hours = instants(days, zone)
    return [
        Shown(
            f"{draw.random()}-{number}",
            draw.choice(USERS),
            draw.choice(SLOTS),
            min(max(draw.choice(hours) + draw.choice([0, 0, 0, 1, -1, 7 * MICROSECONDS]), hours[0]), hours[-1]),
            tuple(draw.choice([0, 0, 1, None]) for _ in range(objectives)),
        )
        for number in range(rows)
    ]


def local(at: int, zone: str) -> date:
    """The day of an instant in microseconds."""
    return (EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()


def key_of(row: Shown, by: Sequence[str]) -> tuple[str, ...] | None:
    """The values of the key; None where one is null."""
    values = [getattr(row, name) for name in by]
    return None if None in values else tuple(values)


def known_before(row: Shown, rows: Sequence[Shown], layout: Layout, zone: str) -> list[int]:
    """All numbers of the impression `row`, by looking at every other one."""
    history = layout.history
    moment = row.at - history.delay_s * MICROSECONDS
    today = local(moment, zone)
    found: list[int] = []
    for key in (history.keys[name] for name in layout.key_sets):
        mine = key_of(row, key.by)
        if mine is None:
            found += [NOTHING] * layout.width
            continue
        same = [other for other in rows if key_of(other, key.by) == mine]
        for window in history.windows:
            first = today - timedelta(days=history.days_of(window))
            found += counts(same, layout, moment, first, zone)
        found += [last(same, layout, stream, moment) for stream in layout.streams]
    return found


def counts(rows: Sequence[Shown], layout: Layout, moment: int, first: date, zone: str) -> list[int]:
    """The counts of the rows that became known before `moment`, on `first` or a later day."""
    made: list[int] = []
    for place, lag in enumerate(layout.lags_s.values()):
        known = [row for row in rows if (at := row.at + lag * MICROSECONDS) < moment and local(at, zone) >= first]
        if place == 0:
            made.append(len(known))
        else:
            labels = [row.labels[place - 1] for row in known if row.labels[place - 1] is not None]
            made += [len(labels), sum(label or 0 for label in labels)]
    return made


def last(rows: Sequence[Shown], layout: Layout, stream: str, moment: int) -> int:
    """The time of the last impression, or of the last positive one, that was known before `moment`."""
    place, lag = layout.streams.index(stream), layout.lags_s[stream] * MICROSECONDS
    times = [row.at for row in rows if row.at + lag < moment and (place == 0 or row.labels[place - 1] == 1)]
    return max(times, default=NOTHING)


def sequence_before(
    row: Shown, rows: Sequence[Shown], item: SequenceFeature, layout: Layout, zone: str
) -> tuple[list[str], list[float]]:
    """The last values of a sequence from the log before the impression `row`, and log1p of their ages in seconds."""
    history = layout.history
    by = history.keys[item.key or ""].by
    mine = key_of(row, by)
    moment = row.at - history.delay_s * MICROSECONDS
    first = local(moment, zone) - timedelta(days=history.days_of(item.within or "all"))
    place, lag = layout.streams.index(item.objective or "impression"), layout.lag_s_of(item) * MICROSECONDS
    found = sorted(
        (other.at, value)
        for other in rows
        if mine is not None
        and key_of(other, by) == mine
        and (value := getattr(other, item.sql)) is not None
        and (place == 0 or other.labels[place - 1] == 1)
        and other.at + lag < moment
        and local(other.at + lag, zone) >= first
    )[-item.max_length :]
    return [value for _, value in found], [log1p((row.at - at) / MICROSECONDS) for at, _ in found]
