"""How often intervals and differences hold what they are of, when the samples are drawn again and again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from camoe.metrics.comparison import compare_states, differences, sampled
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.measures import measures
from camoe.metrics.state import State
from camoe.metrics.table import StateKey

pytestmark = pytest.mark.slow

SETTINGS = EvaluationConfig()
KEY = StateKey("click", "all", "all", "model")
SAMPLES = 200
# With 200 samples the share that holds 95 of 100 is within 4 points of it; ratios with few clicks come a little short.
LEAST = 0.88


def drawn(seed: int, rows: int, users: int, level: float) -> list[State]:
    """Two models of different noise on one sample; users differ in their rate, so their rows are not independent."""
    rng = np.random.default_rng(seed)
    user = rng.integers(0, users, rows)
    known = level + rng.normal(0, 0.8, rows)
    click = rng.random(rows) < expit(known + rng.normal(0, 0.5, users)[user])
    bucket = rng.permutation(users)[user] % SETTINGS.user_buckets
    noisy = (expit(known + rng.normal(0, noise, rows)) for noise in (0.5, 0.8))
    return [State.of(Histogram.from_rows(p, click, bucket, SETTINGS.user_buckets)) for p in noisy]


@pytest.mark.parametrize(("rows", "users", "level"), [(20_000, 3_000, -2.5), (100_000, 8_000, -4.5)])
def test_intervals_and_differences_hold_the_truth_about_95_times_in_100(rows, users, level):
    found = [[sampled(state, SETTINGS) for state in drawn(seed, rows, users, level)] for seed in range(SAMPLES)]
    many = [drawn(100_000 + seed, 400_000, 40_000, level) for seed in range(3)]
    truth = {
        name: [np.mean([float(measure.of(pair[which].whole.bins())) for pair in many]) for which in (0, 1)]
        for name, measure in measures(SETTINGS.ece_bins).items()
    }
    # The ECE of a sample is that of endless rows and its own noise: what samples of this size show on average.
    truth["ece"] = [np.mean([pair[which].estimates["ece"].value for pair in found]) for which in (0, 1)]
    for name, (ours, _) in truth.items():
        held = [pair[0].estimates[name].interval for pair in found]
        share = np.mean([one is not None and one.low <= ours <= one.high for one in held])
        assert share >= LEAST, name
    for at, (name, (ours, theirs)) in enumerate((name, truth[name]) for name in ("auc_pr", "roc_auc", "ne", "ece")):
        told = [list(differences(KEY, *pair, "other"))[at] for pair in found]
        assert {one.metric for one in told} == {name}
        share = np.mean([one.interval.low <= ours - theirs <= one.interval.high for one in told])
        assert share >= LEAST, name


def test_the_difference_of_two_days_of_the_same_users_holds_the_truth_about_95_times_in_100():
    """Users come on both days and differ in their rate, so days are not independent; one model is worse."""
    held = list[bool]()
    truth = np.mean([_of_days(90_000 + seed, 200_000)[0] for seed in range(3)])
    for seed in range(SAMPLES):
        _, interval = _of_days(seed, 4_000)
        held.append(interval.low <= truth <= interval.high)
    assert np.mean(held) >= LEAST


def _of_days(seed, rows):
    rng, users = np.random.default_rng(seed), rows // 10
    own = rng.normal(0, 1.0, users)
    states = []
    for noise in (0.3, 0.9):
        user = rng.integers(0, users, rows)
        known = -2.0 + own[user]
        click = rng.random(rows) < expit(known)
        p, bucket = expit(known + rng.normal(0, noise, rows)), user % SETTINGS.user_buckets
        states.append({KEY: State.of(Histogram.from_rows(p, click, bucket, SETTINGS.user_buckets))})
    found = {one.metric: one for one in compare_states(*states, "the other day", SETTINGS, same=False)}
    return found["ne"].value, found["ne"].interval
