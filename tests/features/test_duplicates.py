"""One row an id survives; contradictions are all refused."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.sources import Impressions
from features.duplicates import CONFLICT, mark_duplicates, payload_columns
from features.exclusions import EXCLUDED

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
