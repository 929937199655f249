"""Progress of a Spark step, as a log file shows it."""

from __future__ import annotations

import pytest

from features.spark.progress import step


def test_a_step_says_on_stdout_when_it_is_over_and_nothing_when_it_failed(spark, capsys):
    with step(spark.sparkContext, "reading"):
        spark.range(3).count()
    with pytest.raises(ZeroDivisionError), step(spark.sparkContext, "dividing"):
        raise ZeroDivisionError
    printed = capsys.readouterr()
    assert printed.out.startswith("reading: done in ")
    assert printed.out.count("\n") == 1
    assert not printed.err
