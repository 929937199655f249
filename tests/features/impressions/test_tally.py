"""Which shares of bad rows stop a run: those of its days, and those of which nobody can tell the day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.slots import SlotCatalogue
from features.impressions.checks import check
from features.impressions.duplicates import DUPLICATE
from features.impressions.exclusions import exclude
from features.impressions.tally import Tally, count_impressions
from features.read.window import DayWindow

SLOTS = SlotCatalogue.model_validate({"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]})
DAYS = tuple(date(2026, 1, 1) + timedelta(days=number) for number in range(200))
ROWS_A_DAY, LIMIT = 100, 0.01


@pytest.fixture(scope="module")
def tallied(spark):
    """What a run of the last day counts in an undivided log of all days.

    Each day has a row without a time; of the last one, two of a hundred have no known slot as well.
    """
    number = F.col("id") % ROWS_A_DAY
    ts = F.date_add(F.lit(DAYS[0]), (F.col("id") / ROWS_A_DAY).cast("int")).cast("string")
    strange = number.isin(1, 2) & (F.col("id") >= (len(DAYS) - 1) * ROWS_A_DAY)
    log = spark.range(len(DAYS) * ROWS_A_DAY).select(
        F.col("id").cast("string").alias("impression_id"),
        F.lit("u").alias("user_id"),
        F.lit("c").alias("campaign_id"),
        F.when(strange, "roof").otherwise("feed").alias("slot"),
        F.when(number == 0, "noon").otherwise(ts).alias("ts"),
        F.lit(None).cast("date").alias("_folder_day"),
        F.lit(None).cast("string").alias("_damage"),
    )
    window = DayWindow("UTC", DAYS[-1:], datetime(2027, 1, 1, tzinfo=UTC))
    return count_impressions(exclude(check(log, SLOTS, []), (), window).withColumn(DUPLICATE, F.lit(False)))


def test_bad_rows_of_a_long_history_do_not_stop_a_run_of_one_day(tallied):
    assert (tallied.read, tallied.dated, tallied.rows_kept) == (len(DAYS) * ROWS_A_DAY, ROWS_A_DAY - 1, ROWS_A_DAY - 3)
    assert tallied.quarantined == {"unknown_slot": 2, "unparsable_ts": len(DAYS)}
    assert tallied.undated == {"unparsable_ts": len(DAYS)}
    tallied.require_usable(0.03, DAYS[-1:])


def test_bad_rows_of_the_run_s_days_are_held_against_those_days_alone(tallied):
    message = r"^2 of 99 impressions of the run's days [^;]*\(unknown_slot 2\) would be .*max_quarantined=0\.01"
    with pytest.raises(InputError, match=message) as refused:
        tallied.require_usable(LIMIT, DAYS[-1:])
    assert "no date" not in str(refused.value)


def test_rows_without_a_date_are_held_against_all_that_no_declaration_leaves_out():
    # 95 of the 1,000 read are left out by declaration.
    counted = Tally(
        1000, {"house_ads": 95, "outside_days": 800}, 1, {"null_ts": 9}, {(DAYS[0], "feed"): 95}, 96, {"null_ts": 9}
    )
    counted.require_usable(LIMIT, DAYS[:1])
    with pytest.raises(InputError, match=r"^9 of 905 impressions read, which have no date, .*\(null_ts 9\) would be "):
        counted.require_usable(0.009, DAYS[:1])


def test_both_shares_are_named_when_both_are_exceeded(tallied):
    with pytest.raises(InputError, match=r"^2 of 99 .*run's days.* and 200 of 20,000 .*no date.*quarantined=0\.005"):
        tallied.require_usable(0.005, DAYS[-1:])


def test_excluded_rows_do_not_water_down_the_share_of_the_days():
    counted = Tally(
        1000, {"house_ads": 90, "outside_days": 900}, 1, {"unknown_slot": 2}, {(DAYS[0], "feed"): 7}, 10, {}
    )
    counted.require_usable(0.2, DAYS[:1])
    with pytest.raises(InputError, match=r"2 of 10 impressions of the run's days.*\(unknown_slot 2\).*=0\.19"):
        counted.require_usable(0.19, DAYS[:1])
