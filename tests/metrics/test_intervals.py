"""The bootstrap over user buckets covers, pairs, and says when it cannot tell."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.intervals import bucket_weights, estimates, paired_difference
from camoe.metrics.table import RESAMPLED, StateKey, metric_row

BUCKETS = 50


def simulated(seed: int, rows: int = 4_000):
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.normal(-2, 1, rows)))
    return p, (rng.random(rows) < p).astype(float), rng.integers(0, BUCKETS, rows)


def test_the_interval_of_the_click_rate_covers_the_true_rate_about_95_times_in_100():
    weights = bucket_weights(BUCKETS, 200, 1)
    truth = np.mean(simulated(999, 400_000)[0])
    covered = 0
    for seed in range(100):
        p, y, bucket = simulated(seed)
        state = Histogram.from_rows(p, y, bucket, BUCKETS)
        rate = {"rate": lambda bins: bins.positives.sum(-1) / bins.count.sum(-1)}
        found = estimates(state, rate, weights)["rate"].interval
        covered += found.low <= truth <= found.high
    assert 87 <= covered <= 99


def test_a_paired_difference_is_sharper_than_its_parts():
    p, y, bucket = simulated(1)
    weights = bucket_weights(BUCKETS, 200, 1)
    good = estimates(Histogram.from_rows(p, y, bucket, BUCKETS), RESAMPLED, weights)
    worse = estimates(Histogram.from_rows(0.8 * p, y, bucket, BUCKETS), RESAMPLED, weights)
    alone = good["ne"].interval
    paired = paired_difference(good["ne"], worse["ne"])
    assert paired.value < 0
    assert paired.interval.high < 0
    assert paired.interval.high - paired.interval.low < (alone.high - alone.low) / 2
    same = paired_difference(good["auc_pr"], good["auc_pr"])
    assert (same.value, same.interval.low, same.interval.high) == (0, 0, 0)


def test_weights_keep_the_number_of_buckets_and_repeat_with_their_seed():
    weights = bucket_weights(BUCKETS, 30, 4)
    assert (weights.sum(axis=1) == BUCKETS).all()
    np.testing.assert_array_equal(weights, bucket_weights(BUCKETS, 30, 4))
    assert (weights != bucket_weights(BUCKETS, 30, 5)).any()


def test_too_few_clicks_give_no_interval():
    p, _, bucket = simulated(2, 50)
    one = Histogram.from_rows(p, np.arange(50) == 7, bucket, BUCKETS)
    found = estimates(one, RESAMPLED, bucket_weights(BUCKETS, 200, 1))["auc_pr"]
    assert found.interval is None
    assert np.isfinite(found.value)


@pytest.mark.parametrize("labels", [[], [0.0, 0.0, 0.0], [1.0, 1.0], [float("nan")]])
def test_rows_of_degenerate_groups_are_plain_json(labels):
    state = Histogram.from_rows(np.full(len(labels), 0.25), np.array(labels), None, 4)
    resampled = estimates(state, RESAMPLED, bucket_weights(4, 10, 1))
    settings = EvaluationConfig(user_buckets=4, bootstrap=10)
    row = metric_row(StateKey("click", "slot", "s", "model"), state, resampled, settings)
    text = json.dumps(asdict(row), allow_nan=False)
    assert json.loads(text)["ne"] is None
