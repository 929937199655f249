"""Two predictors on the same rows: paired, corrected for the number of groups, and told in words."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import false_discovery_control

from camoe.metrics.comparison import compare_states, holm
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram, MetricError
from camoe.metrics.state import State
from camoe.metrics.table import StateKey

SETTINGS = EvaluationConfig(user_buckets=50, bootstrap=200)
ROWS = 20_000


def slots(seed: int, number: int, spoil: float = 0.0, rows: int = ROWS):
    """States of a good model and of another, whose logits have noise of size `spoil` more, in `number` slots."""
    rng = np.random.default_rng(seed)
    good, other = {}, {}
    for slot in range(number):
        true = expit(rng.normal(-2, 1, rows))
        click, bucket = rng.random(rows) < true, rng.integers(0, SETTINGS.user_buckets, rows)
        key = StateKey("click", "slot", f"s{slot}", "model")
        noisy = [expit(logit(true) + rng.normal(0, 0.3, rows)) for _ in range(2)]
        noisy[1] = expit(logit(noisy[1]) + rng.normal(0, spoil, rows)) if spoil else noisy[1]
        for into, p in zip((good, other), noisy, strict=True):
            into[key] = State.of(Histogram.from_rows(p, click, bucket, SETTINGS.user_buckets))
    return good, other


def test_a_spoilt_model_is_worse_in_every_slot_and_metric_that_noise_harms():
    good, other = slots(1, 3, spoil=1.0)
    found = compare_states(good, other, "other", SETTINGS)
    told = {(item.group, item.metric): item for item in found}
    assert {told[f"s{slot}", metric].verdict for slot in range(3) for metric in ("auc_pr", "roc_auc", "ne", "ece")} == {
        "better"
    }
    assert {item.verdict for item in compare_states(other, good, "good", SETTINGS) if item.metric == "ne"} == {"worse"}
    entropy = told["s0", "ne"]
    assert entropy.value < 0
    assert entropy.interval.low < entropy.value < entropy.interval.high < 0
    assert entropy.p <= entropy.p_holm < 0.05
    assert {item.metric for item in found} == {"auc_pr", "roc_auc", "ne", "ece", "pcoc"}


def test_equals_are_not_told_apart():
    good, other = slots(2, 12)
    found = [item for item in compare_states(good, other, "other", SETTINGS) if item.metric in ("auc_pr", "ne")]
    assert {item.verdict for item in found} == {"cannot tell"}


def test_a_model_against_itself_differs_by_nothing():
    good, _ = slots(3, 1, rows=2_000)
    found = compare_states(good, good, "itself", SETTINGS)
    assert {(item.value, item.p, item.verdict) for item in found} == {(0.0, 1.0, "cannot tell")}


def test_models_of_other_rows_are_refused():
    good, other = slots(4, 1, rows=2_000)
    more, _ = slots(4, 1, rows=2_001)
    with pytest.raises(MetricError, match=r"slot s0 \(click\) has 2,000 labelled rows .* 2,001 .* with champion"):
        compare_states(good, more, "champion", SETTINGS)
    key = next(iter(other))
    turned = Histogram.from_rows(np.full(2_000, 0.5), np.arange(2_000) % 2, np.zeros(2_000, int), 50)
    with pytest.raises(MetricError, match="buckets of users"):
        compare_states(good, {key: State.of(turned)}, "champion", SETTINGS)


def test_holm_corrects_by_rank_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03, None]) == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06), None]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
    p = list(np.random.default_rng(0).random(20) ** 3)
    assert all(strict >= loose for strict, loose in zip(holm(p), false_discovery_control(p), strict=True))
