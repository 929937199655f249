"""One row an id survives; contradictions are all refused."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.sources import Impressions, Sources
from features.duplicates import CONFLICT, mark_duplicates, payload_columns
from features.exclusions import EXCLUDED
from features.impressions import judged_impressions
from features.tally import is_kept
from features.window import Window as Run

COLUMNS = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
log = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from([None, "a", "b"]), st.integers(0, 2)), min_size=20, max_size=80
)


def judged(spark, rows, survivor=(), reasons=()):
    frame = spark.createDataFrame(
        [(number, user, f"raw{raw}", list(reasons) if raw == 1 else []) for number, user, raw in rows],
        "impression_id int, user_id string, _raw string, _reasons array<string>",
    ).withColumns({"received": F.regexp_extract("_raw", r"(\d+)", 1).cast("int"), EXCLUDED: F.lit(None).cast("string")})
    return mark_duplicates(frame, ["impression_id", "user_id"], survivor).collect()


def fates(rows):
    """Per id: (survivors, duplicates, conflicts), by counting."""
    answer = {}
    for number in {row[0] for row in rows}:
        users = [user for other, user, _ in rows if other == number]
        answer[number] = (1, len(users) - 1, 0) if len(set(users)) == 1 else (0, 0, len(users))
    return answer


def test_fates_match_a_count_per_id(spark):
    @settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(rows=log)
    def agrees(rows):
        counted = Counter()
        for row in judged(spark, rows):
            fate = 2 if CONFLICT in row._reasons else int(row._duplicate)
            counted[row.impression_id, fate] += 1
        found = {number: tuple(counted[number, fate] for fate in range(3)) for number, _, _ in rows}
        assert found == fates(rows)

    agrees()


def test_the_survivor_does_not_depend_on_the_order_of_the_input(spark):
    rows = [(1, "a", 3), (1, "a", 1), (1, "a", 2)]
    survivors = {row._raw for order in (rows, rows[::-1]) for row in judged(spark, order) if not row._duplicate}
    assert survivors == {"raw1"}


@pytest.mark.parametrize(("survivor", "expected"), [(["received"], "raw1"), (["-received"], "raw10")])
def test_the_survivor_is_the_first_by_the_declared_expressions(spark, survivor, expected):
    rows = [(1, "a", 3), (1, "a", 10), (1, "a", 1)]
    for order in (rows, rows[::-1]):
        assert [row._raw for row in judged(spark, order, survivor) if not row._duplicate] == [expected]


def test_a_row_without_faults_survives_those_that_are_to_be_quarantined(spark):
    rows = judged(spark, [(1, "a", 1), (1, "a", 2), (1, "a", 3)], ["received"], reasons=["unknown_slot"])
    assert [row._raw for row in rows if not row._duplicate] == ["raw2"]


def test_a_survivor_cannot_save_rows_that_contradict_each_other(spark):
    rows = judged(spark, [(1, "a", 1), (1, "b", 2), (1, "a", 3)], ["received"])
    assert [(row._duplicate, row._reasons) for row in rows] == [(False, [CONFLICT])] * 3


def test_maps_are_compared_by_what_they_hold(spark):
    """Spark can neither sort nor compare a map, and by default every mapped column belongs to the payload."""
    frame = spark.createDataFrame(
        [(1, {"a": 1}, "x"), (1, {"a": 1}, "y"), (2, {"a": 1}, "x"), (2, {"a": 2}, "y"), (2, None, "z")],
        "impression_id int, tags map<string,int>, _raw string",
    ).withColumns({"_reasons": F.array().cast("array<string>"), EXCLUDED: F.lit(None).cast("string")})
    found = mark_duplicates(frame, ["impression_id", "tags"], ()).collect()
    assert sorted((row.impression_id, row._raw, row._duplicate, len(row._reasons)) for row in found) == [
        (1, "x", False, 0),
        (1, "y", True, 0),
        (2, "x", False, 1),
        (2, "y", False, 1),
        (2, "z", False, 1),
    ]


def test_a_survivor_of_an_unknown_column_is_refused(spark):
    with pytest.raises(InputError, match=r"the survivor of duplicate impressions.*no column `sent`.*user_id"):
        judged(spark, [(1, "a", 1)], ["sent"])


def test_the_payload_names_columns_and_labels():
    table = Impressions(path="-", columns=COLUMNS, labels={"click": "is_click"}, payload=("ts", "click"))
    assert payload_columns(table) == ("ts", "label_click")
    assert payload_columns(table.model_copy(update={"payload": None})) == (*COLUMNS, "label_click")


def test_a_payload_of_an_unknown_column_is_refused():
    table = Impressions(path="-", columns=COLUMNS, payload=("hour",))
    with pytest.raises(ConfigError, match="'hour'"):
        payload_columns(table)


def written(spark, rows, days, as_of):
    """(id, day) of the rows that a run of `days` keeps; `rows` are (id, user, ts), which agree where users do."""
    log = {"path": "-", "columns": COLUMNS, "labels": {"click": "0"}, "payload": ["user_id"]}
    log["exclude"] = [{"name": "house", "where": "user_id = 'house'"}]
    sources = Sources.model_validate({"impressions": log, "objectives": {"click": {}}})
    slots = SlotCatalogue.model_validate({"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]})
    frame = spark.createDataFrame(
        [(*row, "c", "feed", 0, "raw", None, None) for row in rows],
        "impression_id string, user_id string, ts string, campaign_id string, slot string, label_click int, "
        "_raw string, _folder_day date, _damage string",
    )
    judged = judged_impressions(frame, None, sources, slots, Run("UTC", days, as_of))
    return {(row.impression_id, row.date) for row in judged.where(is_kept()).collect()}


def test_fates_do_not_rest_on_the_days_that_are_built_together(spark):
    """Rows on both sides of midnight; what came after the as-of time is compared with none."""
    first, second = date(2026, 3, 1), date(2026, 3, 2)
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    later = midnight + timedelta(days=1)
    sides = ("2026-03-01 23:59:59", "2026-03-02 00:00:01")
    users = {"twice": ("u1", "u1"), "clash": ("u1", "u2"), "spared": ("u1", "house")}
    rows = [(name, user, ts) for name, both in users.items() for user, ts in zip(both, sides, strict=True)]
    whole = written(spark, rows, (first, second), later)
    alone = [written(spark, rows, (first,), later), written(spark, rows, (second,), later)]
    assert whole == alone[0] | alone[1]
    assert not alone[0] & alone[1]
    assert sorted(name for name, _ in whole) == ["spared", "twice"]
    assert {name for name, _ in written(spark, rows, (first,), midnight)} == set(users)
