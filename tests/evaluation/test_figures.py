"""The figures of one group, from its states alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from camoe.evaluation.figures import Asked, Kept, group_figures, precision_recall, score_distribution
from camoe.evaluation.spark_figures import chance_gap
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram, MetricError
from camoe.metrics.state import State

SETTINGS = EvaluationConfig(user_buckets=10, bootstrap=30, ece_bins=5)
DAYS = (date(2026, 3, 5), date(2026, 3, 6))
ASKED = Asked("m1", ("base_rate", "model"), ("m2",), SETTINGS)


def kept(version, predictor, day, rows=500, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 9, rows)
    y, bucket = rng.random(rows) < p, rng.integers(0, 10, rows)
    shown = {"base_rate": np.full(rows, 0.1), "model": p}[predictor]
    return Kept(version, predictor, day, State.of(Histogram.from_rows(shown, y, bucket, 10)))


def two_days(version, predictors=("base_rate", "model"), rows=500):
    return [kept(version, name, day, rows, seed) for name in predictors for seed, day in enumerate(DAYS)]


def test_days_are_added_up_and_told_apart():
    found = group_figures("click", "slot", "s1", [*two_days("m1"), *two_days("m2")], ASKED)
    assert json.loads(json.dumps(found, allow_nan=False))["group"] == "s1"
    assert [row["predictor"] for row in found["rows"]] == ["base_rate", "model"]
    assert {row["impressions"] for row in found["rows"]} == {1000}
    assert [day["impressions"] for day in found["days"]] == [500, 500]
    assert sum(day["clicks"] for day in found["days"]) == found["rows"][1]["clicks"]
    against = {item["against"] for item in found["differences"]}
    assert against == {"base_rate", "m2"}
    assert {item["value"] for item in found["differences"] if item["against"] == "m2"} == {0.0}


def test_a_model_of_other_rows_is_refused_but_for_heads_of_one_name():
    other = two_days("m2", rows=499)
    with pytest.raises(MetricError, match=r"slot s1 .* 1,000 labelled rows .* 998 .* with model m2"):
        group_figures("click", "slot", "s1", [*two_days("m1"), *other], ASKED)
    found = group_figures("click", "head", "h1", [*two_days("m1"), *other], ASKED)
    assert {item["against"] for item in found["differences"]} == {"base_rate"}


def test_a_kind_of_which_the_other_model_has_no_states_is_left_out():
    later = replace(ASKED, not_kept={"m2": ("country",)})
    found = group_figures("click", "country", "se", two_days("m1"), later)
    assert ({item["against"] for item in found["differences"]}, found["champions"]) == ({"base_rate"}, [])
    with pytest.raises(MetricError, match="country se"):
        group_figures("click", "country", "se", two_days("m1"), ASKED)


def test_a_group_without_rows_has_no_figures():
    found = group_figures("click", "slot", "s1", [], ASKED)
    assert (found["rows"][1]["impressions"], found["rows"][1]["ne"], found["days"]) == (0, None, [])
    assert found["curves"]["precision_recall"] == {"model": [], "m2": []}


def test_curves_hold_every_click_and_every_row():
    bins = kept("m1", "model", DAYS[0]).state.whole.bins()
    points = precision_recall(bins)
    assert points[-1] == [1.0, pytest.approx(bins.positives.sum() / bins.count.sum(), rel=0.2)]
    assert [recall for recall, _ in points] == sorted(recall for recall, _ in points)
    bars = score_distribution(bins)
    assert sum(bar["count"] for bar in bars) == 500
    assert sum(bar["clicks"] for bar in bars) == bins.positives.sum()
    assert score_distribution(kept("m1", "base_rate", DAYS[0]).state.whole.bins())[0]["count"] == 500


@pytest.mark.parametrize(("rows", "expected"), [(100, 0.3), (100, 5.0), (2_000, 20.5), (50, 20.0)])
def test_the_gap_that_chance_makes_is_that_of_clicks_drawn_with_the_right_rate(rows, expected):
    drawn = np.random.default_rng(1).binomial(rows, expected / rows, 200_000)
    found = chance_gap(np.array([float(rows)]), np.array([expected]))[0]
    assert found == pytest.approx(np.abs(drawn - expected).mean(), rel=0.03)
    assert chance_gap(np.zeros(1), np.zeros(1))[0] == 0
