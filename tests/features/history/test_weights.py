"""The fitted weights of smoothing: those of least log loss, and rates that are smoothed alike where they are fitted."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from camoe.contracts.history import History
from features.history.keys import Layout
from features.history.scan import NOTHING
from features.history.smoothing import with_history
from features.history.weights import GRID, fit_weights, smoothed
from features.spark.rows import held_rows

ROWS = 2_000
LAYOUT = Layout(
    History(since=date(2026, 1, 1), objectives=("click",), keys={"all": [], "user": ["user_id"]}, make=("rates",)),
    {"impression": 0, "click": 0},
)


@pytest.fixture(scope="module")
def numbers():
    """Rows of counts: few and many known clicks of a user, keys that are null, and a first row that knows nothing."""
    draw = np.random.default_rng(5)
    known, rate = draw.integers(0, 40, ROWS), draw.beta(2, 30, ROWS)
    positive = draw.binomial(known, rate)
    everyone = np.arange(ROWS) * 10
    found = np.stack([everyone, everyone, everyone // 16, everyone, everyone, known, known, positive, known, known], 1)
    found[::97, 5:] = NOTHING
    return found, (draw.random(ROWS) < rate).astype(float)


def frame(spark, numbers, labels):
    rows = [
        (f"i{place}", datetime(2026, 1, 2, tzinfo=UTC), None if np.isnan(label) else int(label), own.tolist())
        for place, (own, label) in enumerate(zip(numbers, labels, strict=True))
    ]
    return held_rows(spark, rows, "impression_id string, ts timestamp, label_click tinyint, _numbers array<bigint>")


def losses(counts, labels):
    """The mean log loss of each weight of the user's rate, row by row."""
    found = {}
    for weight in GRID:
        told = []
        for own, label in zip(counts.tolist(), labels, strict=True):
            if own[5] == NOTHING or own[1] == 0 or np.isnan(label):
                continue
            rate = (own[7] + weight * own[2] / own[1]) / (own[6] + weight)
            told.append(-np.log(max(rate, 1e-6) if label else 1 - rate))
        found[weight] = np.mean(told)
    return found


def test_the_weight_of_least_log_loss_is_found(spark, numbers):
    counts, labels = numbers
    labels = np.where(np.arange(ROWS) % 50 == 3, np.nan, labels)
    found = fit_weights(frame(spark, counts, labels), ROWS, LAYOUT)
    expected = losses(counts, labels)
    assert found == {"all_click_rate_all": 0.0, "user_click_rate_all": min(expected, key=expected.get)}
    assert found["user_click_rate_all"] not in (GRID[0], GRID[-1])


def test_a_training_without_a_known_label_takes_the_largest_weight(spark, numbers):
    counts, _ = numbers
    found = fit_weights(frame(spark, counts, np.full(ROWS, np.nan)), ROWS, LAYOUT)
    assert found["user_click_rate_all"] == GRID[-1]


def test_rates_are_smoothed_as_where_their_weights_are_fitted(spark, numbers):
    counts, labels = numbers
    layout = Layout(LAYOUT.history.model_copy(update={"transform": "identity"}), LAYOUT.lags_s)
    weights = {"all_click_rate_all": 0.0, "user_click_rate_all": 30.0}
    made = with_history(frame(spark, counts, labels), layout, weights, "UTC").orderBy("impression_id").toPandas()
    own = np.where(counts == NOTHING, np.nan, counts.astype(float))
    everyone = smoothed(own[:, 2], own[:, 1], None, 0.0)
    user = smoothed(own[:, 7], own[:, 6], everyone, 30.0)
    order = np.argsort([f"i{place}" for place in range(ROWS)])
    np.testing.assert_allclose(made["num_all_click_rate_all"], everyone[order].astype(np.float32), rtol=1e-6)
    np.testing.assert_allclose(made["num_user_click_rate_all"], user[order].astype(np.float32), rtol=1e-6)
