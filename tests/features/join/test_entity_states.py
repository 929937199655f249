"""Hashes of sets of rows: equal for equal sets in any order, different otherwise."""

from __future__ import annotations

from datetime import date

import pytest

from camoe.contracts.runs import TIMELESS, EntityState
from camoe.contracts.sources import Sources
from features.join.entity_states import entity_states, known_since, reach_days, reaching
from features.spark.values import day_hashes

DAYS = (date(2026, 3, 28), date(2026, 3, 29))
SCHEMA = "date date, id string, left int, right int"


def content(spark, rows, partitions=1):
    frame = spark.createDataFrame(rows, SCHEMA).repartition(partitions)
    return day_hashes(frame, ["date", "id", "left", "right"])


def test_the_hash_of_a_day_tells_its_set_of_rows_and_nothing_of_other_days(spark):
    rows = [(DAYS[number % 2], f"i{number}", number, None) for number in range(20)]
    whole = content(spark, rows)
    assert content(spark, rows[::-1], partitions=3) == whole
    assert len(set(whole.values())) == 2
    for changed in (
        rows[:-1],
        [*rows, rows[-1]],
        [*rows[:-1], (DAYS[1], "i19", 18, None)],
        [*rows[:-1], (DAYS[1], "i19", None, 19)],
    ):
        found = content(spark, changed)
        assert found[DAYS[0]] == whole[DAYS[0]]
        assert found[DAYS[1]] != whole[DAYS[1]]


def sources(lookback_s=None):
    impressions = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
    versions = {"user_id": "u", "ts": "ts", "available_at": "available_at", "plan": "plan"}
    user = {"path": "u", "key": "user_id", "columns": versions, "lookback_s": lookback_s}
    return Sources.model_validate(
        {
            "impressions": {"path": "i", "columns": impressions, "labels": {"click": "click"}},
            "entities": {
                "user": user,
                "campaign": {"path": "c", "key": "campaign_id", "columns": {"campaign_id": "c"}},
            },
            "objectives": {"click": {}},
        }
    )


def states(spark, users, campaigns=("c1", "c2")):
    tables = {
        "user": spark.createDataFrame(users, "user_id string, ts string, available_at string, plan string"),
        "campaign": spark.createDataFrame([(name,) for name in campaigns], "campaign_id string"),
    }
    found = entity_states(tables, sources(), "Europe/Stockholm", DAYS)
    return dict(found["user"].fingerprints), dict(found["campaign"].fingerprints)


def test_entity_rows_count_on_the_local_day_on_which_they_became_known(spark):
    users = [
        ("u1", "2026-03-01T10:00:00", "2026-03-01T10:00:00", "free"),
        # 23:30 in UTC is the next day in Stockholm.
        ("u2", "2026-03-01T10:00:00", "2026-03-02T23:30:00", "free"),
        ("u3", "2026-03-05T10:00:00", "2026-03-04T10:00:00", "free"),
        ("u4", "noon", "2026-03-09T10:00:00", "free"),
        ("u5", "2026-03-09T10:00:00", None, "free"),
        # In Stockholm the year 9999 has ended.
        ("u6", "2026-03-01T10:00:00", "9999-12-31T23:30:00", "free"),
    ]
    before, timeless = states(spark, users)
    assert list(before) == [date(2026, 3, 1), date(2026, 3, 3), date(2026, 3, 5), date(9999, 12, 31)]
    assert list(timeless) == [TIMELESS]
    late = ("u1", "2026-03-01T10:00:00", "2026-03-05T10:00:00", "paid")
    after, other = states(spark, [*users[::-1], late], ("c2", "c1", "c1"))
    assert {known for known in after if after[known] != before.get(known)} == {date(2026, 3, 5)}
    assert other != timeless


def test_days_before_the_first_that_is_looked_at_have_no_hash(spark):
    known = ("2026-03-01T10:00:00", "2026-03-02T10:00:00", "2026-03-03T10:00:00")
    users = [(f"u{number}", known[0], moment, "free") for number, moment in enumerate(known)]
    table = spark.createDataFrame(users, "user_id string, ts string, available_at string, plan string")
    only = sources(86_400).model_copy(update={"entities": {"user": sources(86_400).entities["user"]}})

    def found(since):
        return entity_states({"user": table}, only, "UTC", [date(2026, 3, 3)], since)["user"]

    since = known_since(only, "UTC", [date(2026, 3, 3)])
    assert since == {"user": date(2026, 3, 2)}
    assert found(since).since == date(2026, 3, 2)
    assert list(found(since).fingerprints) == [date(2026, 3, 2), date(2026, 3, 3)]
    assert found(since).fingerprints.items() < found({}).fingerprints.items()


def test_of_an_entity_without_a_lookback_all_is_looked_at():
    assert known_since(sources(), "UTC", DAYS) == {}


@pytest.mark.parametrize(
    ("lookback_s", "days", "reach"),
    [
        (None, DAYS, None),
        (1, [date(2026, 3, 20)], 1),
        (86_400, [date(2026, 3, 20)], 1),
        (86_401, [date(2026, 3, 20)], 2),
        # Stockholm's 29 March 2026 has 23 hours, so a day's seconds before the 30th reach into the 28th.
        (86_400, [date(2026, 3, 30)], 2),
        (86_400, [date(2026, 3, 20), date(2026, 3, 30)], 2),
    ],
)
def test_the_reach_is_the_lookback_in_days_of_the_zone(lookback_s, days, reach):
    assert reach_days(sources(lookback_s).entities["user"], "Europe/Stockholm", days) == reach


def test_the_reach_of_added_days_is_their_own():
    # Stockholm's 29 March 2026 has 23 hours.
    state = {"user": EntityState(fingerprints={DAYS[0]: "f"}, reach_days=1)}
    (found,) = reaching(state, sources(86_400), "Europe/Stockholm", [date(2026, 3, 20), date(2026, 3, 30)]).values()
    assert found == EntityState(fingerprints={DAYS[0]: "f"}, reach_days=2)


def test_an_entity_without_time_has_no_reach():
    assert reach_days(sources().entities["campaign"], "UTC", DAYS) is None
