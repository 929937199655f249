"""How much of a planted effect a model has learned is told by a regression whose answer is known here."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import functions as F
from scipy.special import expit

from bench.signal.learned import Term, learned, normalised_entropy, without_levels
from features.synthetic.lake import scored_impressions
from features.synthetic.response import SCORE, effect_terms
from tests.features.synthetic.lakes import config

ROWS, USERS = 60_000, 3_000


@pytest.fixture(scope="module")
def planted():
    """Two levels and their cross, a slot's level, a user's own: true log-odds, and codes of each column."""
    random = np.random.default_rng(4)
    age, genre, slot = (random.integers(0, values, ROWS) for values in (5, 8, 3))
    user = random.integers(0, USERS, ROWS)
    cross = random.normal(0, 0.4, (5, 8))[age, genre]
    terms = {
        "age": Term(random.normal(0, 0.5, 5)[age]),
        "genre": Term(random.normal(0, 0.5, 8)[genre]),
        "age x genre": Term(cross, (age, genre)),
        "user": Term(random.normal(0, 0.3, USERS)[user]),
    }
    truth = np.array([-3.0, -2.0, -2.5])[slot] + sum(term.value for term in terms.values())
    return terms, truth, slot, user


def slopes(planted, z):
    terms, truth, slot, user = planted
    return {one.effect: one for one in learned(expit(z), expit(truth), terms, slot, user)}


def test_the_truth_has_learned_all_of_every_effect(planted):
    for one in slopes(planted, planted[1]).values():
        assert (one.slope, one.share) == (pytest.approx(1, abs=1e-6), pytest.approx(1, abs=1e-6))
        assert one.missing == pytest.approx(0, abs=1e-6)


def test_a_model_with_levels_alone_has_learned_nothing_of_the_cross(planted):
    """Also where it has learned all that single columns tell of the cross."""
    terms, truth, _, _ = planted
    pure = without_levels(terms["age x genre"].value, terms["age x genre"].keys)
    assert np.var(terms["age x genre"].value - pure) / np.var(terms["age x genre"].value) > 0.05
    found = slopes(planted, truth - pure)
    assert found["age x genre"].slope == pytest.approx(0, abs=1e-6)
    assert found["age x genre"].share == pytest.approx(0, abs=1e-6)
    assert [found[name].slope for name in ("age", "genre", "user")] == pytest.approx([1, 1, 1], abs=1e-3)
    # The cross put in makes it the truth.
    missing = normalised_entropy(expit(truth), expit(truth - pure)) - normalised_entropy(expit(truth), expit(truth))
    assert found["age x genre"].missing == pytest.approx(missing, rel=1e-3)
    assert missing > 0.005


def test_a_part_learned_lies_in_its_interval_whatever_else_the_model_says(planted):
    """A half of an effect is three quarters of its variance; noise of a user's own widens intervals only."""
    terms, truth, _, user = planted
    random = np.random.default_rng(5)
    noise = random.normal(0, 0.5, USERS)[user] + random.normal(0, 0.3, ROWS)
    pure = without_levels(terms["age x genre"].value, terms["age x genre"].keys)
    found = slopes(planted, truth - 0.5 * terms["age"].value - 0.8 * pure + noise)
    for name, slope in (("age", 0.5), ("age x genre", 0.2), ("genre", 1.0), ("user", 1.0)):
        one = found[name]
        assert one.slope_low < slope < one.slope_high, one
        assert one.share_low <= one.share <= one.share_high <= 1
    assert found["age"].share == pytest.approx(0.75, abs=0.05)
    assert found["age x genre"].share == pytest.approx(0.36, abs=0.08)
    assert found["user"].slope_high - found["user"].slope_low > 0.05


@pytest.mark.spark
def test_the_terms_of_the_effects_are_the_score(spark):
    lake = config("default", "impressions=400")
    made = scored_impressions(spark, lake, 1)
    total = sum((column for column in effect_terms(lake).values()), F.lit(0.0))
    rows = made.select(SCORE, total.alias("total")).collect()
    assert len(rows) == 400
    assert [row["total"] for row in rows] == [pytest.approx(row[SCORE], abs=1e-12) for row in rows]
