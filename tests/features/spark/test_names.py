"""Names in expressions that can only be columns."""

from __future__ import annotations

import pytest

from features.spark.names import column_alone, columns_named


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("is_click", ["is_click"]),
        ("user.age_s / 86400", ["user.age_s"]),
        ("concat_ws('-', user, `ad id`, pid)", ["ad id", "pid"]),
        ("timestamp_millis(cast(time_ms as bigint))", ["time_ms"]),
        ("CASE WHEN hour(local_ts) < 6 THEN 'night' ELSE other END", ["local_ts", "other"]),
        ("nullif(brand, 'NULL') -- brand_id", ["brand"]),
        ("/* was: old */ price", ["price"]),
        ("named_struct('a', x).a + m['k'].f[0]", ["x", "m"]),
        ("DATE '2020-01-01' < day_of_flight and text like r'\\d' escape '/'", ["day_of_flight", "text"]),
        ("datediff(DAY, start, ts)", ["start", "ts"]),
        ("extract(YEAROFWEEK FROM ts)", ["ts"]),
        ("filter(tags, tag -> tag <> excluded)", []),
        ("cast(x as struct<a int>)", []),
        ("true", []),
        ("1L + 2.5e3", []),
    ],
)
def test_a_name_that_can_only_be_a_column_is_found(sql, names):
    assert [".".join(name) for name in columns_named(sql)] == names


@pytest.mark.parametrize(("sql", "column"), [("clk", "clk"), (" `a b` ", "a b"), ("a.b", None), ("a + b", None)])
def test_an_expression_that_is_one_column_names_it(sql, column):
    assert column_alone(sql) == column
