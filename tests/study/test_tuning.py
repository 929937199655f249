import pytest

from camoe.study.declared import Tuning
from camoe.study.trial import Factors, Result, StudyError
from camoe.study.tuning import medians, tune

TUNING = Tuning(trials=8)
BEST = {"a": 2.0, "b": 0.5}


def result(variant, factors, score, checks=()):
    return Result(
        variant=variant, fold="f", seed=1, factors=factors, given_up=score is None, score=score, checks=checks,
        table_version=0, code_version="c", seconds=1.0,
    )  # fmt: skip


def runner(asked):
    """Runs trials of whom the score is best at a rate, and keeps what was asked."""

    def run(wanted):
        asked.append({name: factors for name, (factors, _) in wanted.items()})
        return {
            name: result(name, one, 0.8 + abs(one.rate - BEST[name]) + 0.01 * abs(one.regularisation - 1))
            for name, (one, _) in wanted.items()
        }

    return run


def test_every_variant_has_as_many_trials_in_the_same_space_and_begins_as_declared():
    asked = []
    found = tune(["a", "b"], TUNING, runner(asked))
    assert len(asked) == 8
    assert all(set(one) == {"a", "b"} for one in asked)
    assert asked[0] == {"a": Factors(), "b": Factors()}
    assert all(0.25 <= one.rate <= 4 and 0.25 <= one.regularisation <= 4 for each in asked for one in each.values())
    assert found == {
        name: min((each[name] for each in asked), key=lambda one: abs(one.rate - BEST[name])) for name in found
    }


def test_a_study_that_goes_on_asks_the_same_again():
    first, second = [], []
    tune(["a", "b"], TUNING, runner(first))
    tune(["b", "a"], TUNING, runner(second))
    assert first == second


def test_a_trial_is_held_against_the_median_of_those_before_at_the_same_step():
    trials = [result("a", Factors(), score, ((10, score), (20, score - 0.1))) for score in (0.9, 0.8, 0.7)]
    assert medians(trials[:1]) == {}
    assert medians(trials) == pytest.approx({10: 0.8, 20: 0.7})


def test_one_that_was_given_up_is_never_chosen():
    def run(wanted):
        return {name: result(name, one, 0.9 if one == Factors() else None) for name, (one, _) in wanted.items()}

    assert tune(["a"], TUNING, run) == {"a": Factors()}


def test_without_any_score_the_tuning_says_so():
    with pytest.raises(StudyError, match="no trial of the tuning has a score"):
        tune(["a"], TUNING, lambda wanted: {name: result(name, one, None) for name, (one, _) in wanted.items()})
