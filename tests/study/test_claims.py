import numpy as np
import pytest

from camoe.study.compare import judge
from camoe.study.declared import Base, Claim, Fold, Study, Variant
from camoe.study.statistics import Measured

BUCKETS = 100


def study(claims, variants=("a", "b", "c")):
    return Study(
        out="out", base=Base(config="x"), seeds=(1, 2, 3), baseline="a",
        variants={name: Variant(title=name) for name in variants}, folds={"main": Fold(lake="lake")}, claims=claims,
    )  # fmt: skip


def measured(**levels):
    """By variant and group a metric at about that level, to one part in a hundred."""
    random, found = np.random.default_rng(1), {}
    for name, by_group in levels.items():
        for group, level in by_group.items():
            values, samples = level * random.normal(1, 0.003, 3), level * random.normal(1, 0.01, (3, 200))
            found[name, group] = {"auc_pr": Measured(values, samples, BUCKETS)}
    return found


def answer(claim, *others, **levels):
    claims = {"it": claim, **{f"other{number}": other for number, other in enumerate(others)}}
    return judge(study(claims), measured(**levels))["it"]


BETTER = Claim(says="", better="b", than="a", groups=("x", "y"))


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        (0.22, 0.22, "holds"),
        (0.22, 0.201, "cannot be told"),
        (0.22, 0.18, "does not hold"),
        (0.2, 0.2, "cannot be told"),
    ],
)
def test_a_claim_on_several_groups_needs_all_of_them_and_fails_by_one(x, y, told):
    levels = {"a": {"x": 0.2, "y": 0.2}, "b": {"x": x, "y": y}, "c": {"x": 0.2, "y": 0.2}}
    found = answer(BETTER, **levels)
    assert found.answer == told
    assert found.parts["auc_pr x"].value == pytest.approx(x / 0.2 - 1, abs=0.02)


def drawn(random, gains):
    """Variants a and b on groups of rows: b is better by `gains`, and seeds and users differ."""
    users, seeds = random.normal(0, 0.02, len(gains)), random.normal(0, 0.01, (len(gains), 3))
    found = {}
    for (group, gain), of_users, of_seeds in zip(gains.items(), users, seeds, strict=True):
        values = 0.2 * (1 + gain + of_users + of_seeds)
        samples = values[:, None] * (1 + random.normal(0, 0.02, 200))
        found["a", group] = {"auc_pr": Measured(np.full(3, 0.2), np.full((3, 200), 0.2), BUCKETS)}
        found["b", group] = {"auc_pr": Measured(values, samples, BUCKETS)}
    return found


@pytest.mark.parametrize("groups", [("x",), ("x", "y")])
def test_a_claim_holds_four_times_in_five_at_the_gain_that_is_told_beside_it(groups):
    """Among six claims, of which the others have nothing to find."""
    random, nothing = np.random.default_rng(4), dict.fromkeys(("x", "y", "n0", "n1", "n2", "n3", "n4"), 0.0)
    claims = {group: BETTER.model_copy(update={"groups": (group,)}) for group in nothing if group not in "xy"}
    made = study({"it": BETTER.model_copy(update={"groups": groups}), **claims}, ("a", "b"))
    told = np.mean([judge(made, drawn(random, nothing))["it"].detectable for _ in range(20)])
    planted = nothing | dict.fromkeys(groups, float(told))
    held = [judge(made, drawn(random, planted))["it"].answer == "holds" for _ in range(300)]
    # Three standard errors of a share of 80 in 100.
    assert np.mean(held) == pytest.approx(0.8, abs=0.07)


def test_a_gain_that_is_surely_below_the_least_is_none():
    levels = {"a": {"x": 0.2, "y": 0.2}, "b": {"x": 0.2, "y": 0.2}, "c": {"x": 0.2, "y": 0.2}}
    assert answer(BETTER, **levels).answer == "cannot be told"
    assert answer(BETTER.model_copy(update={"least": 0.2}), **levels).answer == "does not hold"


def test_with_many_claims_each_needs_more_to_hold():
    levels = {"a": {"x": 0.2, "y": 0.2}, "b": {"x": 0.2045, "y": 0.22}, "c": {"x": 0.2, "y": 0.2}}
    alone, others = answer(BETTER, **levels), [BETTER.model_copy(update={"better": "c"})] * 30
    assert alone.p < answer(BETTER, *others, **levels).p


@pytest.mark.parametrize(
    ("c", "told"),
    [
        ({"x": 0.18, "y": 0.3}, "holds"),
        ({"x": 0.25, "y": 0.25}, "does not hold"),
        ({"x": 0.22, "y": 0.25}, "cannot be told"),
    ],
)
def test_a_variant_is_undominated_where_each_other_is_worse_in_something(c, told):
    claim = Claim(says="", undominated="b", groups=("x", "y"))
    levels = {"a": {"x": 0.1, "y": 0.1}, "b": {"x": 0.22, "y": 0.2}, "c": c}
    assert answer(claim, **levels).answer == told


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"better": "b"}, "either better and than, or undominated"),
        ({"better": "b", "than": "a", "undominated": "c"}, "either better and than, or undominated"),
        ({}, "either better and than, or undominated"),
    ],
)
def test_a_claim_is_of_one_kind(wrong, message):
    with pytest.raises(ValueError, match=message):
        Claim(says="", groups=("x",), **wrong)


def test_a_claim_of_an_unknown_variant_is_refused_by_name():
    with pytest.raises(ValueError, match=r"claims.it: there is no variant 'modalty'; did you mean 'modality'"):
        study({"it": BETTER.model_copy(update={"better": "modalty"})}, ("a", "modality"))
