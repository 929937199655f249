"""A failure of Spark is told without the value on which it failed."""

from __future__ import annotations

import pytest
from pyspark.errors import PySparkException

from camoe.contracts.errors import InputError
from features.spark.failures import first_line
from tests.features.spark.told import told_in_one_line


def test_an_error_of_java_tells_no_value(spark):
    rows = spark.createDataFrame([("u7'x",)], "user string")
    with pytest.raises(InputError, match=r"For input string: '\.\.\.'") as refused:
        told_in_one_line(rows.selectExpr("reflect('java.lang.Integer', 'parseInt', user)").collect)
    assert "u7" not in str(refused.value)


def test_a_value_within_a_message_about_a_task_is_not_told():
    failed = "Job aborted due to stage failure: Lost task 0.0 in stage 1.0 [x] (TID 3): org.apache.spark.Failure: "
    cast = (
        '[CAST_INVALID_INPUT] The value \'u7\' of the type "STRING" cannot be cast to "INT" because it is malformed. '
        "SQLSTATE: 22018\n== SQL (line 1, position 1) ==\ncast(user as int)\n"
    )
    told = 'a value of the type "STRING" cannot be cast to "INT" in: cast(user as int)'
    assert first_line(PySparkException(failed + cast)) == told
    assert first_line(PySparkException(failed + "[USER_RAISED_EXCEPTION] user: a row is damaged")) == (
        "user: a row is damaged"
    )
    assert first_line(PySparkException("Text 'u7' could not be parsed at index 0")) == (
        "Text '...' could not be parsed at index 0"
    )
    assert "u7" not in first_line(PySparkException("Text 'u7\n' could not be parsed"))


def test_a_damaged_file_is_named_with_what_to_do_about_it(spark, tmp_path):
    whole = tmp_path / "whole"
    spark.range(1000).coalesce(1).write.parquet(str(whole))
    (part,) = whole.glob("*.parquet")
    damaged = bytearray(part.read_bytes())
    # The header of the first page.
    damaged[4:24] = bytes(20)
    part.write_bytes(damaged)
    (whole / f".{part.name}.crc").unlink()
    with pytest.raises(InputError) as refused:
        told_in_one_line(spark.read.parquet(str(whole)).collect)
    said = str(refused.value)
    assert f"{part.name} cannot be read: " in said
    assert said.endswith("; put a whole copy of that file there, or take it out")
    assert "@" not in said
