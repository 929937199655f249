"""Labels from an outcome log: windows, maturity, and what was known at a time."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Objective
from features.impressions.checks import REASONS
from features.impressions.duplicates import DUPLICATE
from features.impressions.exclusions import EXCLUDED
from features.impressions.labels import label
from features.impressions.outcome_tally import (
    LateOutcomes,
    OutcomeLog,
    OutcomeTally,
    outcome_dispositions,
    require_positives,
)
from features.read.raw import FOLDER_DAY
from features.read.window import DayWindow
from features.report.coverage import measure_days
from features.spark.rows import held_rows

SHOWN = datetime(2026, 1, 1, 12, tzinfo=UTC)
WINDOWS = {"click": Objective(window_s=60), "buy": Objective(window_s=3600)}
LATER = SHOWN + timedelta(days=1)
LABELLED = f"impression_id string, ts timestamp, date date, {REASONS} array<string>"
JUDGED = f"{LABELLED}, {EXCLUDED} string, {DUPLICATE} boolean"


def at(second):
    return (
        second
        if second is None or isinstance(second, str)
        else (SHOWN + timedelta(seconds=second)).strftime("%Y-%m-%d %H:%M:%S")
    )


def outcome_log(spark, rows):
    return held_rows(
        spark,
        [(name, objective, at(ts), at(known), value) for name, objective, ts, known, value in rows],
        "impression_id string, objective string, ts string, available_at string, value string",
    )


def as_of(moment):
    return DayWindow("UTC", (SHOWN.date(),), moment)


def labelled(spark, rows, moment=LATER, ids=("i",)):
    """Labels and reasons by impression; `rows` are (id, objective, happened at, available at, value)."""
    impressions = held_rows(
        spark,
        [(name, SHOWN, SHOWN.date(), []) for name in ids],
        LABELLED,
    )
    answer = label(impressions, outcome_log(spark, rows), WINDOWS, as_of(moment)).collect()
    assert len(answer) == len(ids)
    return {row.impression_id: (row.label_click, row.label_buy, row[REASONS]) for row in answer}


def test_an_outcome_counts_within_its_own_window_both_ends_included(spark):
    rows = [
        ("first", "click", 0, 0, "1"),
        ("last", "click", 60, 60, "1"),
        ("late", "click", 61, 61, "1"),
        ("early", "click", -1, -1, "1"),
        ("buy", "buy", 3000, 3000, "1"),
        ("again", "click", 5, 5, "1"),
        ("again", "click", 6, 6, "1"),
    ]
    ids = ("first", "last", "late", "early", "buy", "again", "none")
    found = labelled(spark, rows, ids=ids)
    assert {name: found[name][0] for name in ids} == dict(zip(ids, (1, 1, 0, 0, 0, 1, 0), strict=True))
    assert [name for name in ids if found[name][1]] == ["buy"]


def test_a_label_is_null_until_its_window_has_closed_whatever_has_happened(spark):
    rows = [("clicked", "click", 5, 5, "1"), ("bought", "buy", 30, 30, "1")]
    ids = ("clicked", "bought", "none")

    def at_second(second):
        found = labelled(spark, rows, SHOWN + timedelta(seconds=second), ids)
        return [found[name][:2] for name in ids]

    assert at_second(59) == [(None, None)] * 3
    assert at_second(60) == [(1, None), (0, None), (0, None)]
    assert at_second(3599) == [(1, None), (0, None), (0, None)]
    assert at_second(3600) == [(1, 0), (0, 1), (0, 0)]


def test_an_outcome_that_became_known_after_the_time_is_no_outcome(spark):
    rows = [("i", "click", 30, 90_000, "1")]
    assert labelled(spark, rows)["i"][0] == 0
    assert labelled(spark, rows, SHOWN + timedelta(days=2))["i"][0] == 1


def test_an_outcome_without_available_at_is_known_from_its_own_time(spark):
    rows = [("i", "click", 30, None, "1")]
    assert labelled(spark, rows)["i"] == (1, 0, [])
    assert labelled(spark, [("i", "click", 30, 61, "1")], SHOWN + timedelta(seconds=60))["i"][0] == 0


def test_ids_of_the_log_take_the_type_of_the_impressions(spark):
    """A log of text beside impressions of numbers: what is no number belongs to no impression."""
    shown = [(number, SHOWN, SHOWN.date(), [], None, False) for number in (1, 2)]
    impressions = held_rows(
        spark,
        shown,
        f"impression_id long, ts timestamp, date date, {REASONS} array<string>, {EXCLUDED} string, {DUPLICATE} boolean",
    )
    log = outcome_log(spark, [("1", "click", 1, 1, "1"), ("none", "click", 1, 1, "1")])
    assert {row.impression_id: row.label_click for row in label(impressions, log, WINDOWS, as_of(LATER)).collect()} == {
        1: 1,
        2: 0,
    }
    found = outcome_dispositions(impressions, log, WINDOWS, as_of(LATER)).dispositions
    assert {fate: rows for fate, rows in found.items() if rows} == {"without_impression": 1, "used": 1}


def judged_log(spark):
    """Impressions kept, repeated with another time, refused, and without an id."""
    shown = [("kept", True), ("twice", True), ("refused", False)]
    return held_rows(
        spark,
        [
            (name, SHOWN, SHOWN.date(), [] if good else ["null_slot"], None, False)
            for name, good in [*shown, (None, False)]
        ]
        + [("twice", SHOWN + timedelta(hours=2), SHOWN.date(), [], None, True)],
        JUDGED,
    )


def test_every_row_of_the_log_has_one_fate(spark):
    rows = {
        "other_objective": [("kept", "like", 1, 1, "1"), ("kept", None, 1, 1, "1")],
        "without_impression": [("stranger", "click", 1, 1, "1"), (None, "click", 1, 1, "1")],
        "impression_not_written": [("refused", "click", 1, 1, "1")],
        "no_outcome": [("kept", "click", 1, 1, "0")],
        "not_known_at_as_of": [("kept", "buy", 1, 90_000, "1")],
        "outside_window": [("kept", "click", 61, 61, "1"), ("kept", "buy", -1, 1, "1")],
        "not_yet_mature": [],
        "used": [("kept", "buy", 61, 61, "1"), ("twice", "click", 1, None, "1"), ("twice", "click", 2, 2, "1")],
    }
    log = outcome_log(spark, [row for fate in rows.values() for row in fate])
    found = outcome_dispositions(judged_log(spark), log, WINDOWS, as_of(LATER)).dispositions
    assert found == {fate: len(of_fate) for fate, of_fate in rows.items()}


def test_outcomes_of_impressions_whose_window_is_open_wait_and_are_used_by_a_later_run(spark):
    log = outcome_log(spark, [("kept", "click", 1, 1, "1"), ("kept", "buy", 1, 1, "1"), ("twice", "buy", 2, 2, "1")])

    def dispositions(second):
        found = outcome_dispositions(
            judged_log(spark), log, WINDOWS, as_of(SHOWN + timedelta(seconds=second))
        ).dispositions
        return {fate: rows for fate, rows in found.items() if rows}

    assert dispositions(60) == {"used": 1, "not_yet_mature": 2}
    assert dispositions(3600) == {"used": 3}


@pytest.mark.parametrize(
    ("labels", "complaint"), [([0, 0], "no positive label"), ([1, 0], None), ([None, 1], None), ([None, None], None)]
)
def test_an_objective_without_a_positive_is_refused_only_where_labels_are_known(spark, labels, complaint):
    day = SHOWN.date()
    rows = spark.createDataFrame([(day, label) for label in labels], "date date, label_click tinyint")
    tally = OutcomeTally(OutcomeLog(), measure_days(rows, [], ["click"])[1])
    log = outcome_log(spark, [("i", "Click", 1, 1, "1")])
    expected = nullcontext() if complaint is None else pytest.raises(InputError, match=complaint)
    with expected:
        require_positives(tally, log, ["click"], [day])


def test_broken_outcomes_refuse_the_impression(spark):
    rows = [
        ("no_time", "click", None, 1, "1"),
        ("odd_value", "click", 1, 1, "7"),
        ("odd_available", "click", 1, "soon", "1"),
        ("far_time", "click", "+55000-01-01 00:00:00", 1, "1"),
        ("zero", "click", 1, 1, "0"),
        ("other_kind", "like", None, 1, "9"),
        ("odd_later", "click", 1, 90_000, "7"),
        ("no_time_later", "click", None, 90_000, "1"),
    ]
    found = labelled(spark, rows, ids=tuple(row[0] for row in rows))
    assert {name: reasons for name, (_, _, reasons) in found.items()} == {
        "no_time": ["invalid_label"],
        "odd_value": ["invalid_label"],
        "odd_available": ["invalid_label"],
        "far_time": ["invalid_label"],
        "zero": [],
        "other_kind": [],
        "odd_later": [],
        "no_time_later": [],
    }
    assert found["zero"][0] == 0


def test_outcomes_without_an_impression_and_of_null_ids_add_no_rows(spark):
    assert labelled(spark, [("stranger", "click", 1, 1, "1"), (None, "click", 1, 1, "1")])["i"] == (0, 0, [])


def test_each_day_is_labelled_as_of_its_own_time(spark):
    """What became known of a training day only after the test day began is no label of it."""
    shown = {"train": SHOWN, "test": SHOWN + timedelta(days=1)}
    impressions = held_rows(
        spark,
        [(name, ts, ts.date(), [], None, False) for name, ts in shown.items()],
        JUDGED,
    )
    begins = SHOWN + timedelta(hours=12)
    log = outcome_log(
        spark,
        [
            ("train", "click", 1, 12 * 3600, "1"),
            ("train", "buy", 1, 12 * 3600 + 1, "1"),
            ("test", "click", 86_401, 90_000, "1"),
            ("test", "buy", 86_401, 86_401, "1"),
        ],
    )
    window = DayWindow("UTC", (SHOWN.date(), LATER.date()), LATER, {SHOWN.date(): begins})
    late = replace(window, as_of=LATER + timedelta(days=1))
    found = {
        row.impression_id: (row.label_click, row.label_buy) for row in label(impressions, log, WINDOWS, late).collect()
    }
    assert found == {"train": (1, 0), "test": (1, 1)}
    dispositions = outcome_dispositions(impressions, log, WINDOWS, late).dispositions
    assert (dispositions["used"], dispositions["not_known_at_as_of"]) == (3, 1)
    # A run's own time, where it is the earlier one, holds for all days.
    early = replace(window, as_of=SHOWN + timedelta(seconds=60))
    assert {row.label_buy for row in label(impressions, log, WINDOWS, early).collect()} == {None}


REPORTED = {"click": Objective(window_s=60, report_s=240), "buy": Objective(window_s=3600)}


def test_a_label_is_mature_when_its_outcomes_have_had_the_time_to_be_told(spark):
    """A click that is told four minutes later is no 0 before: the label waits for it."""
    rows = [("told_late", "click", 30, 290, "1")]
    impressions = held_rows(
        spark,
        [(name, SHOWN, SHOWN.date(), []) for name in ("told_late", "none")],
        LABELLED,
    )

    def at_second(second, objectives):
        found = label(
            impressions, outcome_log(spark, rows), objectives, as_of(SHOWN + timedelta(seconds=second))
        ).collect()
        return {row.impression_id: row.label_click for row in found}

    assert at_second(299, REPORTED) == {"told_late": None, "none": None}
    assert at_second(300, REPORTED) == {"told_late": 1, "none": 0}
    assert at_second(60, WINDOWS) == {"told_late": 0, "none": 0}


def test_outcomes_that_were_told_after_their_labels_counted_as_mature_are_measured(spark):
    log = outcome_log(
        spark,
        [
            ("kept", "click", 1, 2, "1"),
            ("kept", "click", 59, 4_000, "1"),
            ("twice", "click", 60, 160, "1"),
            ("kept", "click", 61, 9_000, "1"),
            ("kept", "buy", 61, 3_600, "1"),
            ("refused", "click", 1, 9_000, "1"),
        ],
    )
    late = outcome_dispositions(judged_log(spark), log, WINDOWS, as_of(LATER)).late
    assert late == {"click": LateOutcomes(rows=3, late=2, longest_s=3_940)}
    declared = outcome_dispositions(judged_log(spark), log, REPORTED, as_of(LATER)).late
    assert declared == {"click": LateOutcomes(rows=3, late=1, longest_s=3_940)}
    assert "the last came 3,940 s after its window: declare report_s" in str(late["click"])


@pytest.mark.parametrize(("filed_by", "misfiled"), [("ts", 1), ("available_at", 2)])
def test_outcomes_in_the_folder_of_another_day_are_counted_and_limited(spark, filed_by, misfiled):
    day, night = SHOWN.date(), 43_200
    rows = [("kept", "click", 1, 1, "1"), ("kept", "buy", 2, night, "1"), ("kept", "buy", night, night, "1")]
    log = outcome_log(spark, rows).withColumn(FOLDER_DAY, F.lit(day))
    found = outcome_dispositions(judged_log(spark), log, WINDOWS, as_of(LATER), filed_by)
    assert found.misfiled == misfiled
    found.require_filed(0.7, filed_by)
    with pytest.raises(InputError, match=rf"{misfiled} of 3 outcomes lie in the folder of another day than that of"):
        found.require_filed(0.3, filed_by)
