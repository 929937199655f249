"""Promotions, rollbacks and retirements, as functions of the registry."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from camoe.metrics.config import PromotionConfig
from camoe.registry.changes import change_now, promoted, retired, rolled_back
from camoe.registry.record import Change, Judgement, Registry, RegistryError

A, B, C = ("a" * 12, "b" * 12, "c" * 12)


def change(action, model, state="champion", **more):
    return Change(at=datetime(2026, 1, 1, tzinfo=UTC), by="ann", action=action, model=model, state=state, **more)


def promote(registry, model, state="champion", **more):
    return promoted(registry, change("promote", model, state, **more), f"/out/{model}")


def champions(*models):
    registry = Registry()
    for model in models:
        registry = promote(registry, model)
    return registry


def states(registry):
    return {version: model.state for version, model in registry.models.items()}


def test_a_champion_takes_the_place_of_the_one_before():
    registry = champions(A, B)
    assert (registry.champion, registry.line) == (B, (A, B))
    assert states(registry) == {A: "retired", B: "champion"}
    assert [item.model for item in registry.changes] == [A, B]
    assert registry.models[B].origin == f"/out/{B}"


def test_a_shadow_runs_beside_the_champion_and_may_become_it():
    registry = promote(champions(A), B, "shadow")
    assert (registry.champion, registry.shadows) == (A, (B,))
    registry = promote(registry, B)
    assert (registry.champion, registry.shadows) == (B, ())


def test_rollbacks_go_back_one_champion_after_the_other():
    registry = champions(A, B, C)
    for before, gone in ((B, C), (A, B)):
        registry = rolled_back(registry, change("rollback", before))
        assert registry.champion == before
        assert (states(registry)[before], states(registry)[gone]) == ("champion", "retired")
    with pytest.raises(RegistryError, match=f"nothing to go back to: {A} is the first champion"):
        rolled_back(registry, change("rollback", A))


def test_a_rollback_that_another_one_came_before_is_refused():
    with pytest.raises(RegistryError, match=f"model {B} is not the champion before any more"):
        rolled_back(champions(A, B), change("rollback", B))


def test_no_rollback_leads_to_a_model_whose_copy_was_deleted():
    registry = retired(champions(A, B, A, C), change("retire", B, "retired"), delete=True)
    assert registry.line == (A, C)
    assert not registry.models[B].kept
    assert retired(champions(A, B), change("retire", A, "retired"), delete=False).line == (A, B)


def test_a_deleted_model_that_is_promoted_again_is_copied_again():
    registry = retired(champions(A, B), change("retire", A, "retired"), delete=True)
    again = promoted(registry, change("promote", A), "/elsewhere")
    assert (again.models[A].kept, again.models[A].origin) == (True, "/elsewhere")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: promote(champions(A), A), f"model {A} is the champion already"),
        (lambda: promote(champions(A), A, "shadow"), f"model {A} is the champion already"),
        (lambda: retired(champions(A), change("retire", A, "retired"), delete=False), f"{A} is the champion; promote"),
        (lambda: retired(champions(A), change("retire", B, "retired"), delete=False), f"{B} is not in the registry"),
        (lambda: rolled_back(Registry(), change("rollback", A)), "nothing to go back to: there is no champion"),
    ],
)
def test_what_cannot_be_done_is_refused(make, message):
    with pytest.raises(RegistryError, match=message):
        make()


def test_a_judgement_against_a_champion_of_before_promotes_nothing():
    judged = Judgement(against=A, days=(date(2026, 1, 1),), rule=PromotionConfig(), verdicts=())
    with pytest.raises(RegistryError, match=f"was held against {A}, and {B} is the champion by now"):
        promote(champions(A, B), C, judgement=judged)
    assert promote(champions(B, A), C, judgement=judged).champion == C


def test_a_change_names_who_made_it(monkeypatch):
    monkeypatch.setenv("USER", "ann")
    assert change_now("promote", A, "champion", "why").by.startswith("ann on ")
    monkeypatch.delenv("USER")
    assert change_now("promote", A, "champion", "why").by.startswith("uid ")
