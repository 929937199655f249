"""Training and evaluation put a user into one bucket."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F

from camoe.metrics.user_buckets import user_buckets

USERS = ["", "u1", "u2", "ünï", "u1", "a" * 100]


def test_known_buckets_stay_as_they_are():
    assert user_buckets(USERS, 100).tolist() == user_buckets([user.encode() for user in USERS], 100).tolist()
    assert user_buckets(["42"], 100).tolist() == user_buckets(np.array([42]), 100).tolist()
    assert user_buckets([], 100).tolist() == []


@pytest.mark.spark
def test_they_are_those_of_spark(spark):
    frame = spark.createDataFrame([(user, number) for number, user in enumerate(USERS)], "user string, id bigint")
    for name in ("user", "id"):
        rows = frame.select(name, F.pmod(F.xxhash64(F.col(name).cast("string")), F.lit(100))).collect()
        assert user_buckets([row[0] for row in rows], 100).tolist() == [row[1] for row in rows]
