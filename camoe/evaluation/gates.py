"""How gates use experts: divergences between them, numbers of experts in use, and a test against chance. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def divergence(first: Floats, second: Floats) -> Floats:
    """Return the Jensen-Shannon divergence in bits, 0 to 1, of weights `[..., K]` that sum to one."""
    middle = (first + second) / 2
    bits: Floats = entropy(middle) - (entropy(first) + entropy(second)) / 2
    return np.maximum(bits, 0.0)


def entropy(weights: Floats) -> Floats:
    """Return the entropy in bits of weights `[..., K]`."""
    found: Floats = -xlogy(weights, weights).sum(axis=-1) / np.log(2)
    return found


def effective_number(weights: Floats) -> Floats:
    """Return how many experts of equal weight have the entropy of `weights` `[..., K]`: 1 to K."""
    number: Floats = 2 ** entropy(weights)
    return number


def alignment(covariance: Floats, experts: int) -> Floats:
    """Return the linear centred kernel alignment `[K, K]` of experts' outputs, from their joint covariance `[KE, KE]`.

    `|C_ij|^2 / (|C_ii| |C_jj|)` in Frobenius norms (Kornblith et al., ICML 2019): 1 for outputs that are the same but
    for a rotation and a scale, near 0 for those that have nothing to do with each other.
    """
    width = len(covariance) // experts
    norms = np.sqrt((covariance.reshape(experts, width, experts, width) ** 2).sum(axis=(1, 3)))
    own = np.maximum(np.diag(norms), np.finfo(np.float64).tiny)
    alike: Floats = norms**2 / np.outer(own, own)
    return alike


@dataclass(frozen=True)
class Specialisation:
    """Whether the weights that experts get differ between kinds of rows by more than chance.

    `divergence`: Jensen-Shannon divergence in bits of the kinds' mean weights, `by_chance` its mean, and
    `by_chance_highest` the 99th percentile, where the kinds are shuffled among each user's rows. `p` is the share of
    shuffles, this one among them, with as much. `explained`: of the weights' variance over rows, the part that lies
    between the kinds.
    """

    divergence: float
    by_chance: float
    by_chance_highest: float
    p: float
    explained: float
    rows: int

    @property
    def told(self) -> str:
        """The answer in words."""
        if self.p >= LEVEL:
            return "no more than by chance"
        return "more than by chance" if self.explained >= NOTABLE else "more than by chance, but little"


LEVEL = 0.01
# Below this share of the variance, which kind a row is of says little of which experts it gets.
NOTABLE = 0.1


def specialisation(weights: Floats, kind: Ints, user: Ints, shuffles: int, seed: int) -> Specialisation:
    """Test whether `weights` `[N, K]` differ between the kinds of rows, `kind` `[N]`, given the `user` `[N]` of each.

    Kinds are shuffled among the rows of one user, so what sets users apart counts for nothing.
    """
    random = np.random.default_rng(seed)
    order = np.argsort(user, kind="stable")
    weights, kind, user = weights[order], kind[order], user[order]
    found = _between(weights, kind)
    chance = np.array([_between(weights, kind[np.lexsort((random.random(len(user)), user))]) for _ in range(shuffles)])
    means = _means(weights, kind)[kind]
    total = ((weights - weights.mean(axis=0)) ** 2).sum()
    explained = float(((means - weights.mean(axis=0)) ** 2).sum() / total) if total > 0 else 0.0
    p = float((1 + np.count_nonzero(chance >= found)) / (1 + shuffles))
    return Specialisation(
        found, float(chance.mean()), float(np.quantile(chance, 1 - LEVEL)), p, explained, len(weights)
    )


def _between(weights: Floats, kind: Ints) -> float:
    """Return the generalised Jensen-Shannon divergence of the kinds' mean weights, every kind weighing the same."""
    means = _means(weights, kind)
    return float(max(0.0, entropy(means.mean(axis=0)) - entropy(means).mean()))


def _means(weights: Floats, kind: Ints) -> Floats:
    counts, sums = np.maximum(np.bincount(kind), 1), [np.bincount(kind, column) for column in weights.T]
    means: Floats = np.column_stack(sums) / counts[:, np.newaxis]
    return means
