import pytest

from camoe.study.network import GivenUpError, Judge
from camoe.train.loop.progress import SCORE


def test_a_trial_above_the_median_of_the_others_at_that_step_is_given_up_with_what_it_has_shown():
    judge = Judge({20: 0.8})
    judge.scalars({"loss/all": 0.5}, 5)
    judge.scalars({SCORE: 0.95}, 10)
    with pytest.raises(GivenUpError, match=r"after 20 steps: 0\.90000, above the median 0\.80000") as given_up:
        judge.scalars({SCORE: 0.9}, 20)
    assert given_up.value.scores == {10: 0.95, 20: 0.9}


def test_one_that_is_no_worse_goes_on():
    judge = Judge({20: 0.8})
    judge.scalars({SCORE: 0.8}, 20)
    judge.scalars({SCORE: 0.9}, 30)
    assert judge.scores == {20: 0.8, 30: 0.9}
