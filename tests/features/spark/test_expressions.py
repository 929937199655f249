"""What gives other values when it is computed again is told from what does not."""

from __future__ import annotations

from datetime import date

import pytest

from camoe.contracts.sources import Sources
from features.join.entities import join_entities, unjoined
from features.spark.expressions import run_dependent
from tests.features import lake


@pytest.fixture(scope="module")
def rows(spark):
    """Columns whose names and values are those that mean the present elsewhere."""
    return spark.createDataFrame([], "ts string, now string, plays int, tags array<string>")


@pytest.mark.parametrize(
    "sql",
    [
        "rand()",
        "rand(5)",
        "uuid()",
        "shuffle(tags)",
        "transform(tags, tag -> concat(tag, rand()))",
        "now()",
        "current_timestamp()",
        "date_trunc('day', current_timestamp)",
        "current_date()",
        "unix_timestamp()",
        "localtimestamp()",
        "current_user()",
        "input_file_name()",
        "monotonically_increasing_id()",
        "timestamp 'now'",
        'date"Today" > ts',
        "cast('yesterday' as date)",
        "to_date('today')",
        "to_timestamp(' now ') > ts",
        "datediff(ts, 'tomorrow')",
        "reflect('java.util.UUID', 'randomUUID')",
    ],
)
def test_lots_and_the_clock_are_found(rows, sql):
    assert run_dependent(rows, ["plays + 1", sql])


def test_columns_and_constants_alone_give_the_same_again(rows):
    assert not run_dependent(
        rows,
        [
            "now",
            "cast(now as timestamp)",
            "to_date(ts)",
            "unix_timestamp(ts)",
            "tags[0] = 'today'",
            "ts < '2026-03-01'",
            "date '2026-03-01'",
            "from_utc_timestamp(ts, 'Europe/Stockholm')",
            "array_sort(transform(tags, tag -> xxhash64(tag)))",
        ],
    )
    assert not run_dependent(rows, [])


def test_features_are_checked_on_the_columns_that_the_join_gives(spark):
    settings = lake.config(lake.Path("-"))["sources"]
    settings["entities"]["user"]["columns"]["available_at"] = "known"
    sources = Sources.model_validate(settings)
    impressions = spark.createDataFrame([], "impression_id string, user_id string, campaign_id long, ts timestamp")
    tables = {
        "user": spark.createDataFrame([], "user_id string, ts string, plan string, plays double, available_at string"),
        "campaign": spark.createDataFrame([], "campaign_id string, advertiser array<int>"),
    }
    joined = join_entities(impressions, tables, sources, [date(2026, 1, 1)]).frame
    empty = unjoined(impressions, tables, sources)
    assert [(field.name, field.dataType.simpleString()) for field in empty.schema] == [
        (field.name, field.dataType.simpleString()) for field in joined.schema
    ]
