"""Platt's calibration against a logistic regression of the rows, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from camoe.metrics.calibration import expected_calibration_error, normalised_entropy, pcoc
from camoe.metrics.histogram import Histogram, merge
from camoe.metrics.platt import Platt, calibrated_state, fit_platt, keep_if_better


def simulated(rows=40_000, slope=0.6, intercept=-1.0, seed=0):
    """Predictions whose true calibration is known."""
    rng = np.random.default_rng(seed)
    p_raw = expit(rng.normal(-2, 1.2, rows))
    y = rng.random(rows) < expit(slope * logit(p_raw) + intercept)
    return p_raw, y.astype(float)


def test_the_fit_is_the_logistic_regression_of_the_rows_on_their_logits():
    p_raw, y = simulated()
    found = fit_platt(Histogram.from_rows(p_raw, y), 50)
    direct = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(p_raw)[:, np.newaxis], y)
    assert found.reason is None
    assert found.slope == pytest.approx(direct.coef_[0, 0], abs=1e-4)
    assert found.intercept == pytest.approx(direct.intercept_[0], abs=1e-4)
    assert (found.rows, found.positives) == (len(y), y.sum())


def test_the_fit_finds_the_truth():
    found = fit_platt(Histogram.from_rows(*simulated(rows=400_000)), 50)
    assert found.slope == pytest.approx(0.6, abs=0.02)
    assert found.intercept == pytest.approx(-1.0, abs=0.03)


def test_calibrated_rows_have_as_many_positives_as_predicted_and_a_lower_cost():
    p_raw, y = simulated()
    raw = Histogram.from_rows(p_raw, y)
    p = fit_platt(raw, 50).calibrated(p_raw)
    calibrated = Histogram.from_rows(p, y)
    assert float(pcoc(calibrated.bins())) == pytest.approx(1, abs=1e-5)
    assert float(normalised_entropy(calibrated.bins())) < float(normalised_entropy(raw.bins()))
    assert expected_calibration_error(calibrated.bins(), 20) < expected_calibration_error(raw.bins(), 20) / 5
    np.testing.assert_array_equal(np.argsort(p, kind="stable"), np.argsort(p_raw, kind="stable"))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=400, max_size=400), st.integers(0, 100))
def test_the_spread_of_rows_over_workers_does_not_matter(owner, seed):
    p_raw, y = simulated(rows=400, seed=seed)
    worker = np.asarray(owner)
    parts = [Histogram.from_rows(p_raw[worker == rank], y[worker == rank]) for rank in range(6)]
    one, many = fit_platt(Histogram.from_rows(p_raw, y), 5), fit_platt(merge(parts, 1), 5)
    assert one.reason == many.reason
    assert (many.slope, many.intercept) == pytest.approx((one.slope, one.intercept), rel=1e-9)


def test_a_calibrated_state_is_that_of_the_calibrated_rows():
    p_raw, y = simulated(rows=5_000)
    bucket = np.arange(len(y)) % 7
    platt = Platt(slope=0.6, intercept=-1.0, rows=1, positives=1)
    direct = Histogram.from_rows(platt.calibrated(p_raw), y, bucket, 7)
    moved = calibrated_state(Histogram.from_rows(p_raw, y, bucket, 7), platt)
    assert (moved.rows, moved.clicks) == (direct.rows, direct.clicks)
    for bins in (moved.weighted(np.eye(7)), direct.weighted(np.eye(7))):
        assert bins.count.sum() == len(y)
    for metric in (normalised_entropy, pcoc):
        np.testing.assert_allclose(metric(moved.weighted(np.eye(7))), metric(direct.weighted(np.eye(7))), rtol=1e-4)


@pytest.mark.parametrize(
    ("p_raw", "y", "reason"),
    [
        ([], [], "one class only"),
        ([0.1, 0.2], [0, 0], "one class only"),
        ([0.1, 0.2, np.nextafter(0.2, 1)], [1, 0, np.nan], "fewer than 5"),
        ([0.1] * 20, [0, 1] * 10, "no maximum"),
        ([0.1] * 10 + [0.2] * 10, [0] * 10 + [1] * 10, "no maximum"),
        ([0.1] * 10 + [0.2] * 10, [0, 1] * 5 + [0] * 9 + [1], "their order is to stay"),
    ],
)
def test_where_nothing_can_be_fitted_the_identity_says_why(p_raw, y, reason):
    state = Histogram.from_rows(np.array(p_raw, float), np.array(y, float))
    found = fit_platt(state, 5)
    assert reason in found.reason
    some = np.array([0.0, 0.3, 1.0])
    np.testing.assert_array_equal(found.calibrated(some), some)
    assert calibrated_state(state, found) is state


def test_certain_predictions_are_calibrated_to_numbers():
    p = Platt(slope=2.0, intercept=1.0, rows=1, positives=1).calibrated(np.array([0.0, 1.0]))
    assert np.isfinite(p).all()
    assert p[0] < p[1]


def test_a_calibration_is_kept_only_where_it_helps_users_that_it_was_not_fitted_to():
    users = 50

    def kept(p_raw, y):
        bucket = np.arange(len(y)) % (2 * users)
        state = Histogram.from_rows(p_raw, y, bucket, 2 * users)
        return keep_if_better(fit_platt(state, 1), state, users)

    assert kept(*simulated(rows=5_000)).reason is None
    # Right already: of what is fitted to chance, other users have the more log loss.
    rng = np.random.default_rng(4)
    found = []
    for _ in range(20):
        p = expit(rng.normal(-2, 1, 600))
        found.append(kept(p, (rng.random(600) < p).astype(float)))
    assert sum(one.reason is not None for one in found) > 14
    assert all("more log loss with it" in one.reason and one.slope == 1 for one in found if one.reason)
    few = Histogram.from_rows([0.1, 0.2], [0.0, 0.0], [0, 1], users)
    assert keep_if_better(fit_platt(few, 1), few, users) == fit_platt(few, 1)
