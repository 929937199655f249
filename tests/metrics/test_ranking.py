"""AUC-PR and ROC-AUC against scikit-learn."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from camoe.metrics.histogram import Bins, Histogram, logit_bin
from camoe.metrics.ranking import average_precision, average_precision_bounds, average_precision_lift, roc_auc

ROUNDING = 1e-9
# Logits within a few bins, so that bins hold several distinct scores as well as ties.
crowded = st.integers(-40, 40).map(lambda step: 1 / (1 + np.exp(-step / 4000)))
scores = st.one_of(st.floats(0, 1), crowded, st.sampled_from([0.0, 1.0, 1e-12]))
labelled = st.lists(st.tuples(scores, st.booleans()), min_size=2, max_size=80).filter(
    lambda rows: 0 < sum(y for _, y in rows) < len(rows)
)


@settings(deadline=None, max_examples=300)
@given(labelled)
def test_average_precision_of_scikit_learn_lies_in_the_bounds(rows):
    p, y = np.array(rows).T
    bins = Histogram.from_rows(p, y).bins()
    low, high = average_precision_bounds(bins)
    assert low - ROUNDING <= average_precision_score(y, p) <= high + ROUNDING
    assert low - ROUNDING <= average_precision(bins) <= high + ROUNDING


@settings(deadline=None, max_examples=200)
@given(labelled)
def test_average_precision_is_that_of_the_binned_scores(rows):
    p, y = np.array(rows).T
    binned = logit_bin(np.clip(p, 1e-12, 1 - 1e-12))
    assert average_precision(Histogram.from_rows(p, y).bins()) == pytest.approx(average_precision_score(y, binned))


@settings(deadline=None, max_examples=200)
@given(labelled)
def test_roc_auc_is_within_the_pairs_that_share_a_bin(rows):
    p, y = np.array(rows).T
    bins = Histogram.from_rows(p, y).bins()
    shared = (bins.positives * (bins.count - bins.positives)).sum() / (y.sum() * (1 - y).sum())
    assert abs(roc_auc(bins) - roc_auc_score(y, p)) <= shared / 2 + ROUNDING
    assert roc_auc(bins) == pytest.approx(roc_auc_score(y, logit_bin(np.clip(p, 1e-12, 1 - 1e-12))))


def test_the_bounds_are_tight_and_the_estimate_close_at_rare_clicks():
    rng = np.random.default_rng(5)
    p = 1 / (1 + np.exp(-rng.normal(-4.5, 1, 300_000)))
    y = rng.random(len(p)) < p
    bins = Histogram.from_rows(p, y).bins()
    low, high = average_precision_bounds(bins)
    exact = average_precision_score(y, p)
    assert high - low < 0.01 * exact
    assert average_precision(bins) == pytest.approx(exact, rel=2e-3)
    assert roc_auc(bins) == pytest.approx(roc_auc_score(y, p), abs=1e-4)


def test_the_order_of_predictions_decides():
    right = Histogram.from_rows([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]).bins()
    wrong = Histogram.from_rows([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]).bins()
    assert (average_precision(right), roc_auc(right)) == (1.0, 1.0)
    assert (average_precision(wrong), roc_auc(wrong)) == (pytest.approx((1 / 3 + 2 / 4) / 2), 0.0)


@pytest.mark.parametrize("labels", [[], [0.0, 0.0], [float("nan")]])
def test_without_clicks_they_are_undefined(labels):
    bins = Histogram.from_rows(np.full(len(labels), 0.2), np.array(labels)).bins()
    assert np.isnan(average_precision(bins))
    assert np.isnan(roc_auc(bins))
    assert all(np.isnan(bound) for bound in average_precision_bounds(bins))


def exact_lower_bound(count, positives):
    """The bound by definition, in exact arithmetic but for the last division."""
    total, hits, misses = Fraction(0), 0, 0
    for rows, own in zip(count, positives, strict=True):
        misses += int(rows - own)
        total += sum((Fraction(hits + i, hits + i + misses) for i in range(1, int(own) + 1)), Fraction(0))
        hits += int(own)
    return float(total / hits)


def test_bounds_keep_their_digits_with_a_billion_rows():
    """A click in a bin of a million, and none of the digits that digamma's difference would lose."""
    count = np.full(1_000, 1e6)
    positives = np.where(np.arange(1_000) % 7 == 0, 2.0, 0.0)
    low, high = average_precision_bounds(Bins(count, positives, count * 1e-7, count))
    assert low == pytest.approx(exact_lower_bound(count, positives), rel=1e-9)
    assert 0 < low < high


def test_the_step_of_digamma_is_the_same_near_and_far():
    rows = np.array([900.0, 120.0, 3_000.0, 80_000.0])
    clicks = np.array([30.0, 20.0, 100.0, 50.0])
    low, _ = average_precision_bounds(Bins(rows, clicks, clicks, clicks))
    assert low == pytest.approx(exact_lower_bound(rows, clicks), rel=1e-12)


def test_lift_is_precision_over_that_of_a_constant():
    bins = Histogram.from_rows([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0]).bins()
    assert average_precision_lift(bins) == 2.0
    constant = Histogram.from_rows([0.3] * 4, [1, 0, 0, 0]).bins()
    assert average_precision_lift(constant) == 1.0
