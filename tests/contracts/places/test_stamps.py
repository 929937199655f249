"""Names by time keep the order in which they were given."""

from __future__ import annotations

from datetime import UTC, datetime

from camoe.contracts.places.stamps import next_stamp, stamp


def test_the_name_of_a_moment_is_later_than_all_names_whatever_the_clock_says():
    names = ["20260101T000000000000Z-epoch0001-step00000000", "a note"]
    before = stamp(datetime.now(UTC))
    assert before <= next_stamp(names) <= stamp(datetime.now(UTC))
    assert next_stamp([*names, "29991231T235959999999Z-x"]) == "30000101T000000000000Z"


def test_names_of_one_moment_differ():
    names: list[str] = []
    for _ in range(200):
        names.append(next_stamp(names))
    assert names == sorted(set(names))
