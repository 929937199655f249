"""AUC-PR and ROC-AUC against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from camoe.metrics.histogram import Histogram, logit_bin
from camoe.metrics.ranking import average_precision, average_precision_bounds, roc_auc

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
