"""Profiles count every value of every day once, and numeric bins are exact."""

from __future__ import annotations

from collections import Counter
from datetime import date
from fractions import Fraction
from math import frexp

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from camoe.contracts.features import FeatureSet
from camoe.score.xxhash64 import spark_hash
from features.encoding.profile import profile

DAYS = (date(2026, 1, 1), date(2026, 1, 2))
FEATURES = FeatureSet.model_validate(
    {
        "categorical": [
            {"name": "plan", "sql": "plan"},
            {"name": "user", "sql": "user", "hashing": {"buckets": 1000}},
        ],
        "numeric": [{"name": "plays", "sql": "plays"}],
    }
)
SCHEMA = "date date, cat_plan string, cat_user string, num_plays float"
EDGES = [2.0**power for power in range(-149, 128)]
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False)
rows = st.tuples(
    st.sampled_from(DAYS),
    st.none() | st.sampled_from(["free", "paid", ""]),
    st.none() | st.sampled_from(["u1", "u2", "u3"]),
    st.none() | st.just(0.0) | numbers | st.sampled_from([-8.0, 8.0, 2.0**-149, 9.5]),
)


def bin_of(number: float) -> str:
    """The bin's number in exact arithmetic: 2**(b/8) <= |x| < 2**((b+1)/8) where zero is bin 0, one is bin 1193."""
    if number == 0:
        return "0"
    mantissa, exponent = frexp(abs(number))
    eighth = Fraction(mantissa) * 2
    within = max(step for step in range(8) if eighth**8 >= 2**step)
    size = 8 * (exponent - 1) + within + 1193
    return str(size if number > 0 else -size)


def expected(given_rows) -> Counter:
    counted = Counter()
    for day, plan, user, plays in given_rows:
        counted[day, "plan", plan] += 1
        counted[day, "user", None if user is None else str(spark_hash(0, user) % 64)] += 1
        counted[day, "plays", None if plays is None else bin_of(plays)] += 1
    return counted


def found(frame) -> dict:
    assert tuple(frame.columns) == ("date", "feature", "value", "rows")
    collected = frame.collect()
    counted = {(row.date, row.feature, row.value): row.rows for row in collected}
    assert len(counted) == len(collected)
    return counted


@settings(max_examples=4, deadline=None)
@given(st.lists(rows, min_size=20, max_size=120))
@example([])
def test_every_value_of_every_day_is_counted(spark, given_rows):
    values = spark.createDataFrame(given_rows, SCHEMA).coalesce(1)
    assert found(profile(values, FEATURES)) == expected(given_rows)


def test_bins_are_exact_at_and_around_every_edge(spark):
    """All powers of two, and the float32 on either side of every edge between them."""
    near = np.float32(2.0) ** (np.arange(-126 * 8, 128 * 8) / 8).astype(np.float32)
    some = np.concatenate([near, np.nextafter(near, np.float32(0)), np.nextafter(near, np.float32(np.inf)), EDGES])
    finite = some[np.isfinite(some)].astype(np.float32).tolist()
    given_rows = [(DAYS[0], None, None, sign * number) for number in finite for sign in (1.0, -1.0)]
    values = spark.createDataFrame(given_rows, SCHEMA).coalesce(1)
    assert found(profile(values, FEATURES)) == expected(given_rows)


def test_bins_are_in_the_order_of_the_numbers():
    ordered = [-3e38, -2.5, -1.0, -(2.0**-149), 0.0, 2.0**-149, 1.0, 2.5, 3e38]
    bins = [int(bin_of(number)) for number in ordered]
    assert bins == sorted(set(bins))


@pytest.mark.parametrize("count", [1, 3])
def test_profiles_of_parts_add_up_to_the_profile_of_the_whole(spark, count):
    given_rows = [(DAYS[n % 2], f"p{n % 5}", f"u{n}", float(n) - 20) for n in range(60)]
    values = spark.createDataFrame(given_rows, SCHEMA)
    parts = [profile(values.where(f"num_plays % {count} = {part}"), FEATURES) for part in range(-count + 1, count)]
    total = Counter()
    for part in parts:
        total.update(found(part))
    assert total == found(profile(values, FEATURES))
