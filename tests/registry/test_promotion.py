"""The rule takes a model that is told to be better and nowhere worse, and says what speaks against another."""

from __future__ import annotations

from datetime import date

import pytest

from camoe.contracts.errors import InputError
from camoe.evaluation import kept
from camoe.evaluation.kept import states_of
from camoe.evaluation.promotion import broken, judge, require_met
from camoe.metrics.config import EvaluationConfig, PromotionConfig
from camoe.registry.record import Judgement, RegistryError, Told
from tests.registry.states import BUCKETS, keep

CHAMPION, BETTER, MIXED, ALIKE = ("a" * 12, "b" * 12, "c" * 12, "d" * 12)
DAY = date(2026, 1, 4)
SETTINGS = EvaluationConfig(user_buckets=BUCKETS, bootstrap=50)
# How far off the logits of each model are, by slot.
NOISE = {
    CHAMPION: {"s0": 0.6, "s1": 0.6},
    BETTER: {"s0": 0.1, "s1": 0.1},
    MIXED: {"s0": 0.0, "s1": 0.9},
    ALIKE: {"s0": 0.6, "s1": 0.6},
}


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    path = tmp_path_factory.mktemp("states") / "states"
    for draw, (model, noise) in enumerate(NOISE.items()):
        keep(path, model, DAY, noise, draw)
    return path


def judged(states, model, **rule):
    return judge(states, model, CHAMPION, [DAY], rule=PromotionConfig(**rule), settings=SETTINGS)


def test_a_model_that_is_better_is_taken_and_the_judgement_says_by_what(states):
    judgement = judged(states, BETTER)
    require_met(judgement, BETTER)
    assert {(item.group, item.verdict) for item in judgement.verdicts} == {
        ("all", "better"),
        ("s0", "better"),
        ("s1", "better"),
    }
    assert Judgement.model_validate_json(judgement.model_dump_json()) == judgement


def test_a_model_that_is_worse_in_a_slot_is_not(states):
    judgement = judged(states, MIXED)
    assert any(line.startswith("ne of click is worse for slot s1 by 0.0") for line in broken(judgement))
    with pytest.raises(RegistryError, match=rf"does not take model {MIXED} in place of {CHAMPION}: .*--reason TEXT"):
        require_met(judgement, MIXED)
    assert not any("slot" in line for line in broken(judged(states, MIXED, groups=())))


def test_a_model_of_which_it_cannot_be_told_is_taken_where_that_is_declared(states):
    assert list(broken(judged(states, ALIKE))) == ["ne over all rows is not better for any objective"]
    assert list(broken(judged(states, ALIKE, wanted="not worse"))) == []


def test_an_evaluation_of_nothing_promotes_nothing():
    nothing = Judgement(against=CHAMPION, days=(DAY,), rule=PromotionConfig(wanted="not worse"), verdicts=())
    assert list(broken(nothing)) == ["ne over all rows is not better for any objective"]


def test_each_metric_of_the_rule_may_forbid_it():
    def told(metric, verdict):
        return Told(
            objective="click", group_kind="all", group="all", metric=metric, value=0.02, p_holm=0.01, verdict=verdict
        )

    verdicts = (told("ne", "better"), told("ece", "worse"))
    judgement = Judgement(against=CHAMPION, days=(DAY,), rule=PromotionConfig(metrics=("ne", "ece")), verdicts=verdicts)
    assert list(broken(judgement)) == ["ece of click is worse for all rows by 0.0200"]


def test_states_of_other_kinds_are_not_even_decoded(states, monkeypatch):
    """Those of campaigns may be a hundred thousand."""
    decoded = []

    def seen(table):
        decoded.append(set(table["group_kind"].to_pylist()))
        return states_of(table)

    monkeypatch.setattr(kept, "states_of", seen)
    judged(states, BETTER, groups=())
    assert decoded == [{"all"}, {"all"}]
    assert {key.group_kind for key in kept.read_states(states, BETTER, [DAY])} == {"all", "slot"}


def test_a_model_that_was_not_evaluated_is_named(states):
    with pytest.raises(InputError, match=r"has no states of model 0123456789ab on 2026-01-04"):
        judged(states, "0123456789ab")
