"""Calibration against direct computations, and what a constant and a perfect predictor must show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from camoe.metrics.calibration import (
    calibration_noise_floor,
    expected_calibration_error,
    normalised_entropy,
    pcoc,
    reliability,
)
from camoe.metrics.histogram import Histogram

BINS = 20


def simulated(rows: int, seed: int = 0, centre: float = -3.0):
    rng = np.random.default_rng(seed)
    p = 1 / (1 + np.exp(-rng.normal(centre, 1, rows)))
    return p, (rng.random(rows) < p).astype(float)


def direct_error(p, y, number: int) -> float:
    """Equal-mass calibration error over rows cut into equal parts by their order."""
    order = np.argsort(-p, kind="stable")
    parts = np.array_split(order, number)
    return sum(abs(p[part].sum() - y[part].sum()) for part in parts) / len(p)


# Scores far enough apart that each has a logit bin of its own: then the parts are the same as those of the rows.
@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.randoms(use_true_random=False))
def test_error_equals_the_direct_one_on_rows_that_share_no_bin(parts, per_part, random):
    rows = parts * per_part
    p = (np.arange(rows) + 1) / (rows + 1)
    y = np.array([random.randint(0, 1) for _ in range(rows)], dtype=float)
    found = expected_calibration_error(Histogram.from_rows(p, y).bins(), parts)
    assert found == pytest.approx(direct_error(p, y, parts))


@pytest.mark.parametrize("sharpness", [1.0, 1.5])
def test_error_is_close_to_the_direct_one_on_many_rows(sharpness):
    p, y = simulated(200_000)
    odds = (p / (1 - p)) ** sharpness
    predicted = odds / (1 + odds)
    found = expected_calibration_error(Histogram.from_rows(predicted, y).bins(), BINS)
    assert found == pytest.approx(direct_error(predicted, y, BINS), rel=0.03)


def test_bins_hold_equal_shares_of_the_rows():
    p, y = simulated(100_000)
    points = reliability(Histogram.from_rows(p, y).bins(), BINS)
    assert len(points) == BINS
    assert sum(point.impressions for point in points) == 100_000
    assert all(abs(point.impressions - 5000) < 400 for point in points)
    assert [point.mean_predicted for point in points] == sorted(point.mean_predicted for point in points)
    assert all(0 <= point.low <= point.observed <= point.high <= 1 for point in points)
    inside = [point.low <= point.mean_predicted <= point.high for point in points]
    assert sum(inside) >= BINS - 4


@pytest.mark.parametrize("rows", [1_000, 20_000])
def test_the_true_probability_shows_its_floor_and_a_wrong_one_more(rows):
    errors, floors, wrong = [], [], []
    for seed in range(30):
        p, y = simulated(rows, seed)
        bins = Histogram.from_rows(p, y).bins()
        errors.append(expected_calibration_error(bins, BINS))
        floors.append(calibration_noise_floor(bins, BINS, 100, seed))
        wrong.append(expected_calibration_error(Histogram.from_rows(np.minimum(2 * p, 1), y).bins(), BINS))
    assert np.mean(errors) == pytest.approx(np.mean(floors), rel=0.1)
    assert np.mean(wrong) > 2 * np.mean(floors)


def test_normalised_entropy_and_pcoc_match_their_definitions():
    p, y = simulated(5_000)
    bins = Histogram.from_rows(p, y).bins()
    assert normalised_entropy(bins) == pytest.approx(log_loss(y, p) / log_loss(y, np.full(len(y), y.mean())))
    assert normalised_entropy(bins) < 1
    assert pcoc(bins) == pytest.approx(p.sum() / y.sum())


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 500))
def test_the_base_rate_as_a_constant_has_entropy_1_and_no_error(clicks, others):
    y = np.repeat([1.0, 0.0], [clicks, others])
    bins = Histogram.from_rows(np.full(len(y), y.mean()), y).bins()
    assert normalised_entropy(bins) == pytest.approx(1)
    assert pcoc(bins) == pytest.approx(1)
    assert expected_calibration_error(bins, BINS) == pytest.approx(0, abs=1e-12)


def test_certain_and_wrong_predictions_cost_a_finite_loss():
    bins = Histogram.from_rows([0.0, 1.0, 1e-12, 0.3], [1, 0, 1, 0]).bins()
    assert np.isfinite(normalised_entropy(bins))
    assert expected_calibration_error(bins, 4) == pytest.approx((1 + 1 + 1 + 0.3) / 4)
    assert calibration_noise_floor(bins, 4, 50, 1) == pytest.approx(0.42 / 4, rel=0.3)  # 2 * .3 * .7 / 4 rows


def test_groups_of_one_class_or_no_rows_are_undefined():
    empty, none = Histogram.empty().bins(), Histogram.from_rows([0.1, 0.2], [0, 0]).bins()
    assert np.isnan(normalised_entropy(empty))
    assert np.isnan(pcoc(empty))
    assert np.isnan(expected_calibration_error(empty, BINS))
    assert calibration_noise_floor(empty, BINS, 10, 1) is None
    assert reliability(empty, BINS) == ()
    assert np.isnan(normalised_entropy(none))
    assert np.isnan(pcoc(none))
    assert expected_calibration_error(none, 1) == pytest.approx(0.15)
