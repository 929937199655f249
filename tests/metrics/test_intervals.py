"""The bootstrap over user buckets covers, and says when it cannot tell."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.intervals import bucket_weights, estimates, pcoc_interval, poisson
from camoe.metrics.measures import measures
from camoe.metrics.state import State
from camoe.metrics.table import StateKey, metric_row

BUCKETS = 50
MEASURES = measures(10)


def simulated(seed: int, rows: int = 4_000):
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.normal(-2, 1, rows)))
    return p, (rng.random(rows) < p).astype(float), rng.integers(0, BUCKETS, rows)


def state_of(p, y, bucket):
    return State.of(Histogram.from_rows(p, y, bucket, BUCKETS))


def test_the_interval_of_the_click_rate_covers_the_true_rate_about_95_times_in_100():
    weights = bucket_weights(BUCKETS, 200, 1)
    truth = np.mean(simulated(999, 400_000)[0])
    covered = 0
    for seed in range(100):
        found = estimates(state_of(*simulated(seed)), {"ctr": MEASURES["ctr"]}, weights)["ctr"].interval
        covered += found.low <= truth <= found.high
    assert 87 <= covered <= 99


def test_resamples_lie_around_the_value_of_all_rows():
    found = estimates(state_of(*simulated(1)), MEASURES, bucket_weights(BUCKETS, 200, 1))
    assert set(found) == set(MEASURES)
    for estimate in found.values():
        assert estimate.samples.mean() == pytest.approx(estimate.value)
        assert estimate.interval.low < estimate.value < estimate.interval.high


def test_sums_alone_tell_of_rates_and_entropy_only():
    full = state_of(*simulated(1))
    found = estimates(State(None, full.users), MEASURES, bucket_weights(BUCKETS, 50, 1))
    assert {name for name, one in found.items() if one.interval is not None} == {"ctr", "ne", "pcoc"}
    whole = estimates(full, MEASURES, bucket_weights(BUCKETS, 50, 1))
    assert found["ne"].value == pytest.approx(whole["ne"].value)


def test_weights_keep_the_number_of_buckets_and_repeat_with_their_seed():
    weights = bucket_weights(BUCKETS, 30, 4)
    assert (weights.sum(axis=1) == BUCKETS).all()
    np.testing.assert_array_equal(weights, bucket_weights(BUCKETS, 30, 4))
    assert (weights != bucket_weights(BUCKETS, 30, 5)).any()


def test_too_few_clicks_give_no_interval():
    p, _, bucket = simulated(2, 50)
    one = state_of(p, np.arange(50) == 7, bucket)
    found = estimates(one, MEASURES, bucket_weights(BUCKETS, 200, 1))["auc_pr"]
    assert found.interval is None
    assert np.isfinite(found.value)


@pytest.mark.parametrize("expected", [3, 10, 30, 90])
def test_the_interval_of_pcoc_holds_the_truth_where_clicks_are_few(expected):
    """Of calibrated predictions, of which so many clicks are to be expected; without a click nothing is told."""
    rng, rows, weights = np.random.default_rng(expected), 1_500, bucket_weights(BUCKETS, 100, 1)
    held, alone = list[bool](), list[bool]()
    for _ in range(200):
        p = expected / rows * rng.lognormal(-0.125, 0.5, rows)
        state = state_of(p, (rng.random(rows) < p).astype(float), rng.integers(0, BUCKETS, rows))
        resampled = estimates(state, {"pcoc": MEASURES["pcoc"]}, weights)["pcoc"].interval
        found = pcoc_interval(float(p.sum()), state.whole.clicks, resampled)
        held.append(state.whole.clicks == 0 or found.low <= 1 <= found.high)
        alone.append(resampled is not None and resampled.low <= 1 <= resampled.high)
    assert np.mean(held) >= 0.92
    assert expected > 3 or np.mean(alone) < 0.6


def test_poissons_interval_is_garwoods_and_many_clicks_are_resampled():
    one, ten = poisson(1), poisson(10)
    assert (one.low, one.high) == (pytest.approx(0.0253, abs=1e-4), pytest.approx(5.5716, abs=1e-4))
    assert (ten.low, ten.high) == (pytest.approx(4.7954, abs=1e-4), pytest.approx(18.3904, abs=1e-4))
    assert poisson(0) is None
    state = state_of(*simulated(1))
    resampled = estimates(state, {"pcoc": MEASURES["pcoc"]}, bucket_weights(BUCKETS, 100, 1))["pcoc"].interval
    assert pcoc_interval(float(state.whole.p_sum.sum()), state.whole.clicks, resampled) == resampled


@pytest.mark.parametrize("labels", [[], [0.0, 0.0, 0.0], [1.0, 1.0], [float("nan")]])
def test_rows_of_degenerate_groups_are_plain_json(labels):
    state = State.of(Histogram.from_rows(np.full(len(labels), 0.25), np.array(labels), None, 4))
    settings = EvaluationConfig(user_buckets=4, bootstrap=10)
    resampled = estimates(state, measures(settings.ece_bins), bucket_weights(4, 10, 1))
    row = metric_row(StateKey("click", "slot", "s", "model"), state, resampled, settings)
    text = json.dumps(asdict(row), allow_nan=False)
    assert json.loads(text)["ne"] is None
