"""From values to the document: what is missing, unknown, shifted and old, held against counts by hand."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from camoe.contracts.days import Days
from camoe.contracts.encoder import EMPTY
from camoe.contracts.features import FeatureSet
from features.encoding.encode import fit_vocabularies
from features.encoding.profile import profile
from features.impressions.tally import Tally
from features.join.choice import Choice
from features.report import RunFacts, day_groups, feature_report
from features.report.cells import NAMED, profile_cells
from features.report.coverage import Coverage, measure_days, unknown_slots
from features.report.document import of_the_calendar

DAYS = Days.model_validate(
    {
        "train": {"first": "2026-01-01", "last": "2026-01-02"},
        "validation": {"first": "2026-01-03", "last": "2026-01-03"},
        "test": {"first": "2026-01-04", "last": "2026-01-04"},
    }
)
FEATURES = FeatureSet.model_validate(
    {
        "categorical": [
            {"name": "plan", "sql": "user.plan", "min_count": 2},
            {"name": "ad", "sql": "campaign_id"},
            {"name": "user", "sql": "user_id", "hashing": {"buckets": 8}},
        ],
        "numeric": [{"name": "plays", "sql": "superuser.plays + `user`.plays"}],
    }
)
ROWS = 200
SCHEMA = (
    "date date, cat_plan string, cat_ad string, cat_user string, num_plays float, "
    "_matched_user boolean, _age_user double"
)


def rows_of(day):
    """`plan` is null on every tenth row and new on the test day; `plays` doubles by then; ages grow by the day."""
    when = date(2026, 1, 1) + timedelta(days=day)
    for number in range(ROWS):
        plan = None if number % 10 == 0 else "gold" if day == 3 and number % 2 else "free"
        if day == 0 and number == 1:
            plan = "once"
        plays = float(1 + number % 50) * (2 if day == 3 else 1)
        matched = number % 4 > 0
        yield when, plan, f"ad{number % 30}", f"u{number}", plays, matched, day * 1000.0 + number if matched else None


@pytest.fixture(scope="module")
def values(spark):
    rows = [row for day in range(4) for row in rows_of(day)]
    return spark.createDataFrame(rows, SCHEMA).coalesce(1).cache()


@pytest.fixture(scope="module")
def made(values):
    counted = profile(values, FEATURES).cache()
    encoder = EMPTY.grow(fit_vocabularies(counted, FEATURES, DAYS.train.days()))
    cells = profile_cells(counted, encoder, FEATURES, DAYS.train.days(), DAYS.all_days())
    return encoder, cells, measure_days(values, ["user"], [])[0]


def document_of(made, groups, cells=None):
    encoder, own, coverage = made
    facts = RunFacts(
        "r1", "2026-01-05T00:00:00+00:00", {"2026-01-01": "2026-01-04T23:00:00+00:00"}, 1, "/out/training", 0, groups
    )
    day = date(2026, 1, 1)
    tally = Tally(1000, {"house": 100}, 7, {"unknown_slot": 3}, {(day, "s"): 890}, 900, {})
    return feature_report(
        facts,
        tally,
        unknown_slots={"x": 3},
        choices=[Choice("user", "broadcast", "-", rows=50, unusable=4)],
        coverage=coverage,
        cells=own if cells is None else cells,
        encoder=encoder,
        features=FEATURES,
    )


@pytest.fixture(scope="module")
def document(made):
    return document_of(made, day_groups(DAYS, DAYS.all_days()))


def feature(document, name):
    return next(item for item in document["features"] if item["name"] == name)


def test_cells_hold_every_row_of_every_feature(made):
    rows = Counter()
    for cell in made[1]:
        rows[cell.feature, cell.day] += cell.rows
    assert set(rows.values()) == {ROWS}
    assert len(rows) == 4 * 4
    named = {cell.value for cell in made[1] if cell.feature == "ad" and cell.value is not None}
    # Thirty equally frequent ads: the first ones by value have cells, the others one together.
    assert len(named) == NAMED
    assert named <= set(made[0].values["ad"])


def test_missing_and_unknown_are_shares_of_the_groups_rows(document):
    groups = feature(document, "plan")["groups"]
    assert {name: item["missing"] for name, item in groups.items()} == {"training": 0.1, "validation": 0.1, "test": 0.1}
    assert groups["training"]["unknown"] == 1 / (2 * ROWS)
    assert groups["validation"]["unknown"] == 0
    assert groups["test"]["unknown"] == 0.5
    assert all(item["unknown"] == 0 for item in feature(document, "user")["groups"].values())
    assert feature(document, "plan")["days"]["2026-01-01"]["unknown"] == 1 / ROWS


def test_shift_shows_where_it_is_and_only_there(document):
    for name in ("plan", "plays"):
        groups = feature(document, name)["groups"]
        assert groups["test"]["psi"] > 0.25
        assert groups["validation"]["psi"] < 0.02
    for name in ("ad", "user"):
        assert all(item["psi"] < 0.02 for item in feature(document, name)["groups"].values())
        assert all(item["psi_by_chance"] > 0 for item in feature(document, name)["groups"].values())


def test_entities_have_match_rates_and_ages_by_day(document):
    (user,) = document["entities"]
    assert (user["table_rows"], user["without_key_or_time"]) == (50, 4)
    assert (user["rows"], user["matched"]) == (4 * ROWS, 0.75)
    assert [day["date"] for day in user["days"]] == ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]
    ages = [1000.0 * 3 + number for number in range(ROWS) if number % 4 > 0]
    for share, name in ((0.5, "p50"), (0.9, "p90"), (0.99, "p99")):
        wanted = np.quantile(ages, share, method="inverted_cdf")
        assert user["days"][3]["age_s"][name] == wanted


def test_an_entity_without_ages_says_so(values):
    ageless = values.selectExpr("date", "_matched_user as _matched_video", "cast(null as double) as _age_video")
    coverage = measure_days(ageless, ["video"], [])[0]
    assert {item.age_s for item in coverage} == {None}
    assert coverage[0] == Coverage("video", None, 4 * ROWS, 0.75, None)


def test_training_days_of_earlier_runs_are_one_sum_that_later_days_are_held_against(values, made, document):
    encoder, _, coverage = made
    own = DAYS.all_days()[1:]
    cells = profile_cells(profile(values, FEATURES), encoder, FEATURES, DAYS.train.days(), own)
    assert {cell.day for cell in cells} == {None, *own}
    assert sum(cell.rows for cell in cells if cell.day is None) == 4 * ROWS
    later = document_of((encoder, cells, coverage), day_groups(DAYS, DAYS.all_days()))
    for item, whole in zip(later["features"], document["features"], strict=True):
        assert item["groups"] == whole["groups"]
        assert item["days"] == {day.isoformat(): whole["days"][day.isoformat()] for day in own}


def test_features_know_the_entities_that_their_sql_reads(document):
    assert {item["name"]: item["entities"] for item in document["features"]} == {
        "plan": ["user"],
        "ad": [],
        "user": [],
        "plays": ["user"],
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("IF(weekday(local_ts) >= 5, 'weekend', 'workday')", True),
        ("hour(ts)", True),
        ("datediff(local_ts, ad.start)", False),
        ("ad.start", False),
        ("1", False),
    ],
)
def test_a_feature_of_the_impressions_time_alone_is_one_of_the_calendar(sql, expected):
    assert of_the_calendar(sql) == expected


def test_steps_lead_from_the_rows_read_to_the_rows_written(document):
    steps = document["steps"]
    assert (steps[0]["rows_in"], steps[-1]["rows_out"]) == (1000, 890)
    assert all(before["rows_out"] == after["rows_in"] for before, after in pairwise(steps))
    for step in steps:
        assert step["rows_in"] - step["rows_out"] == sum(step["dropped"].values())


def test_days_outside_the_configuration_are_groups_of_their_own(made):
    days = [date(2026, 1, 4), date(2026, 2, 1), date(2026, 1, 31)]
    assert list(day_groups(DAYS, days)) == ["test", "2026-01-31", "2026-02-01"]
    without = document_of(made, day_groups(DAYS, days[:1]))
    assert feature(without, "plan")["groups"]["test"]["psi"] is None
    assert feature(without, "plan")["groups"]["test"]["missing"] == 0.1


def test_the_document_is_json_and_holds_no_value_of_a_feature(document):
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert not [value for value in ("free", "gold", "ad1", "u1") if f'"{value}"' in text]


def test_unknown_slots_are_counted_among_the_quarantined_rows(spark):
    rows = [("x", ["unknown_slot"], None, False)] * 3 + [
        ("y", ["null_user_id", "unknown_slot"], None, False),
        ("s", ["null_user_id"], None, False),
        ("x", ["unknown_slot"], "house", False),
        ("x", ["unknown_slot"], None, True),
    ]
    judged = spark.createDataFrame(rows, "slot string, _reasons array<string>, _excluded string, _duplicate boolean")
    assert unknown_slots(judged) == {"x": 3, "y": 1}
    many = [(f"s{number:02d}", ["unknown_slot"], None, False) for number in range(25)]
    counted = unknown_slots(spark.createDataFrame(many, judged.schema))
    assert len(counted) == 21
    assert counted["(all others)"] == 5
