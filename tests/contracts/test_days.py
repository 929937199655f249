"""Days, their zone, and when all of their outcomes are known."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from camoe.contracts.days import Days, day_list, parse_days

THREE_DAYS_S = 3 * 86_400


def days(test, **changes):
    settings = {
        "zone": "Europe/Stockholm",
        "train": {"first": "2026-01-01", "last": "2026-01-01"},
        "validation": {"first": "2026-01-02", "last": "2026-01-02"},
        "test": {"first": test, "last": test},
    }
    return Days.model_validate({**settings, **changes})


# Stockholm leaves UTC+1 for UTC+2 on 29 March 2026 and comes back on 25 October.
@pytest.mark.parametrize(
    ("test", "known"),
    [
        ("2026-02-10", datetime(2026, 2, 13, 23, tzinfo=UTC)),
        ("2026-03-27", datetime(2026, 3, 30, 23, tzinfo=UTC)),
        ("2026-10-23", datetime(2026, 10, 26, 22, tzinfo=UTC)),
    ],
)
def test_the_last_window_closes_after_its_full_length_whatever_the_clocks_do(test, known):
    assert days(test).known_at(THREE_DAYS_S) == known


@pytest.mark.parametrize("as_of", ["2026-03-01T12:00:00", "2026-03-01T12:00:00+01:00", "2026-03-01T11:00:00Z"])
def test_a_declared_as_of_is_taken_as_it_is_and_without_zone_in_that_of_the_days(as_of):
    assert days("2026-02-10", as_of=as_of).known_at(THREE_DAYS_S) == datetime(2026, 3, 1, 11, tzinfo=UTC)


def test_a_zone_that_does_not_exist_is_refused():
    with pytest.raises(ValidationError, match="'Mars/Base' is no IANA time zone"):
        days("2026-02-10", zone="Mars/Base")


def test_days_on_the_command_line_are_single_ones_and_ranges():
    found = parse_days("2026-03-07, 2026-02-27..2026-03-01,2026-03-01")
    assert [day.isoformat() for day in found] == ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-07"]
    assert day_list(found) == "2026-02-27..2026-03-01,2026-03-07"


@given(st.sets(st.dates(date(2025, 12, 20), date(2026, 1, 20)), min_size=1))
def test_a_list_of_days_reads_back_as_those_days(days):
    assert parse_days(day_list(days)) == tuple(sorted(days))


@pytest.mark.parametrize("text", ["", "2026-03", "2026-03-02..", "2026-03-02..2026-03-01", "monday", "2026-03-01,,"])
def test_what_names_no_days_is_refused(text):
    with pytest.raises(ValueError):
        parse_days(text)


def test_a_run_of_later_days_waits_for_their_windows():
    configured = days("2026-02-10")
    assert configured.known_at(THREE_DAYS_S, date(2026, 2, 20)) == datetime(2026, 2, 23, 23, tzinfo=UTC)
    assert configured.known_at(THREE_DAYS_S, date(2026, 1, 1)) == configured.known_at(THREE_DAYS_S)


def test_labels_of_training_days_are_those_of_the_time_when_the_test_day_begins_unless_declared():
    declared = {
        "zone": "Europe/Stockholm",
        "train": {"first": "2026-03-01", "last": "2026-03-02"},
        "validation": {"first": "2026-03-03", "last": "2026-03-03", "as_of": "2026-03-05T12:00"},
        "test": {"first": "2026-03-04", "last": "2026-03-04"},
    }
    begins, told = datetime(2026, 3, 3, 23, tzinfo=UTC), datetime(2026, 3, 5, 11, tzinfo=UTC)
    cuts = Days.model_validate(declared).label_cuts()
    assert {day.day: cut for day, cut in cuts.items()} == {1: begins, 2: begins, 3: told}
