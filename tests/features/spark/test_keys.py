"""Keys meet by value, whatever types two tables have them in."""

from __future__ import annotations

import pytest

from camoe.contracts.errors import InputError
from features.spark.keys import as_key

SEVEN = {"string": "'7'", "bigint": "7", "int": "7", "double": "7", "float": "7", "decimal(20,2)": "7"}
FRACTIONS = ("double", "float", "decimal(20,2)")


def met(spark, kind, value, wanted):
    rows = spark.sql(f"select cast({value} as {kind}) as id")
    return rows.select(as_key(rows, "id", spark.createDataFrame([], f"id {wanted}"), "user").alias("id")).first().id


@pytest.mark.parametrize("wanted", SEVEN)
def test_seven_is_seven_in_every_type(spark, wanted):
    expected = spark.sql(f"select cast({SEVEN[wanted]} as {wanted}) as id").first().id
    assert [met(spark, kind, value, wanted) for kind, value in SEVEN.items()] == [expected] * len(SEVEN)


@pytest.mark.parametrize("wanted", ["bigint", "int", "string"])
def test_a_fraction_is_never_a_whole_number(spark, wanted):
    found = [met(spark, kind, "7.9", wanted) for kind in FRACTIONS] + [met(spark, "string", "'7.9'", wanted)]
    assert all(one in (None, "7.9", "7.90") for one in found)


def test_text_with_decimals_and_identifiers_beyond_a_double_keep_their_value(spark):
    assert met(spark, "string", "'7.00'", "bigint") == 7
    assert met(spark, "string", "'9007199254740993'", "bigint") == 9007199254740993
    assert met(spark, "decimal(20,0)", "9007199254740993", "string") == "9007199254740993"
    assert met(spark, "string", "'u7'", "bigint") is None
    assert met(spark, "double", "1e300", "bigint") is None


@pytest.mark.parametrize(("kind", "wanted"), [("timestamp", "string"), ("bigint", "array<int>"), ("boolean", "bigint")])
def test_types_that_cannot_meet_are_refused_by_name(spark, kind, wanted):
    rows = spark.createDataFrame([], f"id {kind}")
    with pytest.raises(InputError, match=f"user: id is {kind}, but "):
        as_key(rows, "id", spark.createDataFrame([], f"id {wanted}"), "user")
