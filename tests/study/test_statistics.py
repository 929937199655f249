import numpy as np
import pytest
from scipy import stats

from camoe.metrics.calibration import expected_calibration_error
from camoe.metrics.histogram import Histogram
from camoe.metrics.intervals import bucket_weights
from camoe.study.statistics import Change, change, detectable, measure

BUCKETS, USERS, ROWS = 50, 200, 3000
WEIGHTS = bucket_weights(BUCKETS, 100, seed=1)


def predictions(random, truth, noise, shared):
    """Predictions off the truth by what all models miss, and by what the seed drew."""
    return 1 / (1 + np.exp(-(truth + shared + random.normal(0, noise, len(truth)))))


def measured(random, seeds, noises):
    """Two variants of some noise each on the same rows, whose users have levels of their own."""
    user = random.integers(0, USERS, ROWS)
    truth = -1.0 + random.normal(0, 0.5, USERS)[user] + random.normal(0, 1.0, ROWS)
    label = (random.random(ROWS) < 1 / (1 + np.exp(-truth))).astype(float)
    shared = random.normal(0, 0.3, ROWS)
    found = []
    for noise in noises:
        states = [
            [Histogram.from_rows(predictions(random, truth, noise, shared), label, user % BUCKETS, BUCKETS)]
            for _ in range(seeds)
        ]
        found.append(measure(states, WEIGHTS, ece_bins=10))
    return found


@pytest.mark.lengthy
def test_intervals_of_no_change_hold_none_in_95_of_100_studies():
    held, studies = 0, 100
    for number in range(studies):
        first, second = measured(np.random.default_rng([7, number]), 3, (0.4, 0.4))
        low, high = change(first["ne"], second["ne"], "ne").interval
        held += low <= 0 <= high
    # Two standard errors of a share of 95 in 100.
    assert held >= 91


def test_a_planted_change_is_found_and_its_detectable_size_told():
    first, second = measured(np.random.default_rng(3), 3, (0.1, 1.0))
    found = change(first["auc_pr"], second["auc_pr"], "auc_pr")
    assert found.p_above() < 0.001 < 0.999 < found.p_below()
    assert found.value > detectable([[found]], 0.025) > found.interval[1] - found.value


@pytest.mark.parametrize(("freedom", "level"), [(99, 0.025), (99, 0.004), (4, 0.025)])
def test_the_power_of_a_comparison_is_that_of_the_noncentral_t(freedom, level):
    one = Change(value=0.1, error=0.02, freedom=freedom, better=1)
    for gain in (0.0, 0.04, 0.07, 0.15):
        exact = stats.nct.sf(stats.t.isf(level, freedom), freedom, gain / 0.02)
        assert one.power(gain, level) == pytest.approx(exact, abs=0.02)


def test_more_parts_and_more_claims_take_a_greater_gain_and_a_choice_of_parts_the_best_known():
    wide, narrow = (Change(value=0.1, error=error, freedom=50, better=1) for error in (0.04, 0.02))
    alone = detectable([[narrow]], 0.025)
    assert alone < detectable([[narrow], [narrow]], 0.025) < detectable([[narrow], [wide]], 0.025)
    assert alone < detectable([[narrow]], 0.025 / 6) < detectable([[wide]], 0.025 / 6)
    assert detectable([[wide, narrow]], 0.05) == pytest.approx(alone)
    undefined = Change(value=float("nan"), error=float("nan"), freedom=1, better=1)
    assert np.isnan(detectable([[narrow], [undefined]], 0.025))


def test_seeds_that_differ_widen_the_interval():
    first, second = measured(np.random.default_rng(3), 3, (0.1, 1.0))
    alike = change(first["ne"], second["ne"], "ne")
    shaken = type(first["ne"])(first["ne"].values * [0.8, 1.0, 1.2], first["ne"].samples, BUCKETS)
    assert change(shaken, second["ne"], "ne").error > 3 * alike.error
    assert change(shaken, second["ne"], "ne").freedom == pytest.approx(2.0, abs=0.3)


def test_where_less_is_better_a_fall_is_a_gain():
    fall = Change(value=-0.1, error=0.02, freedom=50, better=-1)
    assert fall.gain == 0.1
    assert fall.p_above() < 1e-5
    assert fall.interval[1] < 0


def test_an_undefined_change_tells_nothing():
    none = Change(value=float("nan"), error=float("nan"), freedom=1, better=1)
    assert (none.p_above(), none.p_below(), none.defined) == (1.0, 1.0, False)


def test_the_calibration_error_is_that_of_the_report():
    random = np.random.default_rng(5)
    p = random.random(500)
    state = Histogram.from_rows(p, (random.random(500) < p**2).astype(float), random.integers(0, BUCKETS, 500), BUCKETS)
    found = measure([[state]], WEIGHTS, ece_bins=10)["ece"]
    assert found.values[0] == pytest.approx(expected_calibration_error(state.bins(), 10))
    assert found.samples.shape == (1, 100)
