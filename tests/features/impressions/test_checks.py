"""Each thing that can be wrong with an impression has its reason; exclusions are declared."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Exclusion
from features.impressions.checks import REASONS, check
from features.impressions.exclusions import EXCLUDED, exclude
from features.read.window import DayWindow
from tests.features.impressions.rows import GOOD, SCHEMA, SLOTS

WINDOW = DayWindow(
    "Europe/Stockholm", tuple(date(2026, 3, day) for day in range(28, 32)), datetime(2026, 4, 1, tzinfo=UTC)
)


def impressions(spark, *changes):
    return spark.createDataFrame([{**GOOD, **change} for change in changes], SCHEMA)


def test_every_fault_has_its_reason(spark):
    cases = [
        ({}, []),
        ({"impression_id": None}, ["null_impression_id"]),
        ({"user_id": None}, ["null_user_id"]),
        ({"campaign_id": None}, ["null_campaign_id"]),
        ({"ts": None}, ["null_ts"]),
        ({"ts": "yesterday"}, ["unparsable_ts"]),
        ({"slot": None}, ["null_slot"]),
        ({"slot": "roof"}, ["unknown_slot"]),
        ({"label_click": "2"}, ["invalid_label"]),
        ({"label_click": "yes"}, ["invalid_label"]),
        ({"label_click": None}, []),
        ({"user_id": None, "slot": "roof"}, ["null_user_id", "unknown_slot"]),
        ({"user_id": None, "slot": None, "_damage": "corrupt_record"}, ["corrupt_record"]),
    ]
    rows = check(impressions(spark, *[change for change, _ in cases]), SLOTS, ["click"]).collect()
    assert [row[REASONS] for row in rows] == [reasons for _, reasons in cases]


def test_a_time_that_no_calendar_holds_is_refused_and_stops_nothing(spark):
    """Nanoseconds read as microseconds lie in the year 55,000, or at the end of what 64 bits hold."""
    times = {
        (1 << 63) - 1: ["unparsable_ts"],
        1_772_000_000_000_000_000: ["unparsable_ts"],
        -(1 << 63): ["unparsable_ts"],
        253_402_300_799_999_999: ["unparsable_ts"],
        253_402_214_399_999_999: [],
        -62_135_510_400_000_000: [],
        1_772_000_000_000_000: [],
    }
    rows = impressions(spark, *[{"impression_id": str(micros)} for micros in times])
    rows = rows.withColumn("ts", F.timestamp_micros(F.col("impression_id").cast("long")))
    found = exclude(check(rows, SLOTS, []), (), WINDOW).select("impression_id", REASONS, F.col("date").cast("string"))
    assert {int(row.impression_id): row[REASONS] for row in found.collect()} == times


def test_labels_are_taken_as_they_are(spark):
    rows = check(impressions(spark, *[{"label_click": text} for text in ("0", "1.0", None)]), SLOTS, ["click"])
    assert rows.schema["label_click"].dataType.simpleString() == "tinyint"
    assert [row.label_click for row in rows.collect()] == [0, 1, None]


def test_the_day_is_the_local_day_of_the_time_stamp_over_a_change_of_clocks(spark):
    # Stockholm is at UTC+1 until 29 March 2026 01:00 UTC and at UTC+2 after it.
    times = ["2026-03-28 22:59:59", "2026-03-28 23:00:00", "2026-03-29 21:59:59", "2026-03-29 22:00:00"]
    checked = check(impressions(spark, *[{"ts": text} for text in times]), SLOTS, [])
    found = [row.date for row in exclude(checked, (), WINDOW).collect()]
    assert found == [date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 29), date(2026, 3, 30)]


def test_exclusions_have_names_and_the_first_that_holds_counts(spark):
    rules = (
        Exclusion(name="roof", where="slot = 'roof'"),
        Exclusion(name="test_users", where="user_id = 't'"),
    )
    changes = [
        ({}, None),
        ({"slot": "roof", "user_id": "t"}, "roof"),
        ({"slot": None, "user_id": "t"}, "test_users"),
        ({"slot": None}, None),
        ({"ts": "2026-04-01 12:00:00"}, "outside_days"),
        ({"_folder_day": date(2026, 3, 28)}, None),
        ({"_folder_day": date(2026, 3, 29)}, "other_folder"),
        ({"_folder_day": date(2026, 3, 29), "ts": "2026-04-01 12:00:00"}, "other_folder"),
        ({"_folder_day": date(2026, 3, 29), "user_id": "t"}, "test_users"),
        ({"_folder_day": date(2026, 3, 29), "ts": None}, None),
        ({"ts": None}, None),
        ({"slot": "roof", "_damage": "invalid_text"}, None),
    ]
    checked = check(impressions(spark, *[change for change, _ in changes]), SLOTS, [])
    assert [row[EXCLUDED] for row in exclude(checked, rules, WINDOW).collect()] == [name for _, name in changes]


def test_an_exclusion_of_an_unknown_column_names_it_and_the_columns(spark):
    checked = check(impressions(spark, {}), SLOTS, [])
    with pytest.raises(InputError, match=r"'late: hour > 3'.*no column `hour`.*impression_id, user_id"):
        exclude(checked, (Exclusion(name="late", where="hour > 3"),), WINDOW)
