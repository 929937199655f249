"""How much of each planted effect a model's log-odds have: a regression on the effects' terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, xlogy

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
# Of a normal distribution, 95 % lies within so many standard errors.
WITHIN = 1.959964
# Sweeps over the columns of a cross when their levels are taken out of it; each shrinks what is left of them.
SWEEPS = 100


@dataclass(frozen=True)
class Term:
    """An effect's part of the true log-odds of each row, `[N]`; of a cross the `keys`, `[N]` codes of each column."""

    value: Floats
    keys: tuple[Codes, ...] = ()


@dataclass(frozen=True)
class Learned:
    """How much of one effect a model has learned.

    `size`: standard deviation of the term. `slope`: change of the model's log-odds with the term, all others held; 1
    is all of it, 0 nothing. `share`: of the term's variance, what the model's part leaves unexplained, less than one:
    `1 - (1 - slope)^2`. Ends of 95 % intervals behind them. `missing`: NE that the model loses by the rest.
    """

    effect: str
    size: float
    slope: float
    slope_low: float
    slope_high: float
    share: float
    share_low: float
    share_high: float
    missing: float


def learned(p: Floats, truth: Floats, terms: Mapping[str, Term], slot: Codes, user: Codes) -> list[Learned]:
    """Return what a model that says `p` `[N]` has learned of each of `terms`, `truth` being the true probabilities.

    Its log-odds are regressed, by least squares, on all terms together, a level for each `slot` and the levels of the
    crosses: a cross counts without what single columns of it tell, which a model without crosses learns, too. Errors
    are robust and by user (Liang & Zeger, 1986).
    """
    z = logit(np.clip(p, 1e-12, 1 - 1e-12))
    pure = {name: without_levels(term.value, term.keys) for name, term in terms.items()}
    levels = sum((term.value - pure[name] for name, term in terms.items()), np.zeros(len(z)))
    of_slot = slot[:, np.newaxis] == np.unique(slot)
    design = np.column_stack([*pure.values(), levels, of_slot])
    beta, error = _regression(design, z, user)
    before = _entropy(truth, z)
    found = []
    for place, (name, value) in enumerate(pure.items()):
        slope, low, high = beta[place], beta[place] - WITHIN * error[place], beta[place] + WITHIN * error[place]
        mended = _entropy(truth, z + (1 - slope) * (value - value.mean()))
        shares = _shares(slope, low, high)
        found.append(Learned(name, float(value.std()), slope, low, high, *shares, before - mended))
    return found


def without_levels(value: Floats, keys: Sequence[Codes]) -> Floats:
    """Return `value` `[N]` less the best sum of a level for each value of each of `keys`; as it is for one key."""
    if len(keys) < 2:
        return value
    rest = value.copy()
    counts = [np.bincount(key) for key in keys]
    for _ in range(SWEEPS):
        for key, count in zip(keys, counts, strict=True):
            rest -= (np.bincount(key, rest) / np.maximum(count, 1))[key]
    return rest


def normalised_entropy(truth: Floats, p: Floats) -> float:
    """Return the NE to be expected of `p` where `truth` are the probabilities: no draw of outcomes is in it."""
    return _entropy(truth, logit(np.clip(p, 1e-12, 1 - 1e-12)))


def _entropy(truth: Floats, z: Floats) -> float:
    said, mean = expit(z), truth.mean()
    loss = -(xlogy(truth, said) + xlogy(1 - truth, 1 - said)).mean()
    return float(loss / -(xlogy(mean, mean) + xlogy(1 - mean, 1 - mean)))


def _shares(slope: float, low: float, high: float) -> tuple[float, float, float]:
    """Return the share at `slope`, and its least and greatest between `low` and `high`."""
    ends = [1 - (1 - end) ** 2 for end in (low, high)]
    return 1 - (1 - slope) ** 2, min(ends), 1.0 if low <= 1 <= high else max(ends)


def _regression(design: Floats, z: Floats, user: Codes) -> tuple[Floats, Floats]:
    """Return coefficients and standard errors `[K]` of `z` `[N]` on `design` `[N, K]`, rows of a user dependent."""
    inverse = np.linalg.pinv(design.T @ design)
    beta = inverse @ (design.T @ z)
    scores = design * (z - design @ beta)[:, np.newaxis]
    _, place = np.unique(user, return_inverse=True)
    by_user = np.column_stack([np.bincount(place, column) for column in scores.T])
    users = len(by_user)
    spread = inverse @ (by_user.T @ by_user) @ inverse * users / max(1, users - 1)
    return beta, np.sqrt(np.maximum(np.diag(spread), 0))
