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
