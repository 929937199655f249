import numpy as np
import pytest

from camoe.evaluation.gates import alignment, divergence, effective_number, specialisation


def test_divergence_is_none_of_the_same_and_a_bit_of_what_shares_nothing():
    first, second = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[0.5, 0.5], [0.0, 1.0]])
    np.testing.assert_allclose(divergence(first, second), [0.0, 1.0])


def test_experts_in_use_are_counted_by_how_evenly_they_are_weighed():
    weights = np.array([[1.0, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    np.testing.assert_allclose(effective_number(weights), [1, 2, 4])


def test_outputs_that_differ_by_a_rotation_and_a_scale_are_alike_and_others_are_not():
    random = np.random.default_rng(1)
    one, other = random.normal(size=(5000, 6)), random.normal(size=(5000, 6))
    turned = one @ np.linalg.qr(random.normal(size=(6, 6)))[0] * 3
    found = alignment(np.cov(np.hstack([one, turned, other]), rowvar=False), 3)
    np.testing.assert_allclose(found[:2, :2], 1.0, atol=1e-6)
    assert found[0, 2] < 0.01


def weights_of(kind, user, shift, seed):
    """Weights over three experts that users differ in, and kinds by `shift`."""
    random = np.random.default_rng(seed)
    level = random.normal(0, 1, (user.max() + 1, 3))[user] + random.normal(0, 0.3, (len(user), 3))
    level[:, 0] += shift * kind
    odds = np.exp(level)
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("shift", "told"), [(3.0, "more than by chance"), (0.4, "more than by chance, but little")])
def test_experts_that_differ_by_kind_are_told_from_chance_and_how_much(shift, told):
    random = np.random.default_rng(2)
    user, kind = random.integers(0, 300, 4000), random.integers(0, 2, 4000)
    found = specialisation(weights_of(kind, user, shift, 3), kind, user, 200, seed=4)
    assert found.told == told
    assert found.divergence > found.by_chance_highest > found.by_chance


def test_kinds_whose_users_differ_are_no_specialisation():
    random = np.random.default_rng(2)
    user = random.integers(0, 300, 4000)
    # A user's rows are mostly of one kind, and users like other experts: no expert is of a kind.
    kind = (random.random(4000) < np.where(np.arange(300) % 2, 0.9, 0.1)[user]).astype(int)
    p = [specialisation(weights_of(kind, user, 0.0, seed), kind, user, 99, seed).p for seed in range(20)]
    assert sum(one < 0.05 for one in p) <= 4
