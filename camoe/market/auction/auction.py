"""The auction of each request: the highest scores win its places, each pays the score of the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camoe.market.config import MICROS, Rules
from camoe.market.draws import Floats, Ints

CLOSED = -1.0
PER_THOUSAND = 1000


@dataclass(frozen=True, eq=False)
class Leaders:
    """The best candidates of each request, the best first: their columns and scores, both of shape (R, places + 1)."""

    column: Ints
    score: Floats


def leaders(score: Floats, places: int) -> Leaders:
    """Return the best `places` candidates and the next, of scores of shape (R, C); `CLOSED` where no one is left."""
    rows = np.arange(len(score))
    work = score.copy()
    column = np.zeros((len(score), places + 1), dtype=np.int64)
    best = np.full((len(score), places + 1), CLOSED)
    for place in range(min(places + 1, score.shape[1])):
        column[:, place] = work.argmax(axis=1)
        best[:, place] = work[rows, column[:, place]]
        work[rows, column[:, place]] = CLOSED
    return Leaders(column, best)


@dataclass(frozen=True, eq=False)
class Winners:
    """Places that were sold, in order of request and place: `row`, `position`, `column` and second score `price`."""

    row: Ints
    position: Ints
    column: Ints
    price: Floats


def winners(found: Leaders, pod: Ints, rules: Rules) -> Winners:
    """Sell the places of each pod to the leaders that reach the reserve, each for the next score or the reserve."""
    reserve = rules.reserve / PER_THOUSAND
    places = np.arange(found.score.shape[1] - 1)
    own = found.score[:, :-1]
    sold = (own >= reserve) & (own > 0) & (places < pod[:, np.newaxis])
    row, position = np.nonzero(sold)
    price = np.maximum(found.score[:, 1:], reserve)[row, position]
    return Winners(row, position, found.column[row, position], price)


def micros(money: Floats) -> Ints:
    """Return money in whole micros, rounded to the nearest."""
    rounded: Ints = np.rint(money * MICROS).astype(np.int64)
    return rounded
