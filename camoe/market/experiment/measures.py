"""What is counted of a market, as sums that add up over users, campaigns, slots and days, and the rates they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.requests import Shown
from camoe.market.config import MICROS
from camoe.market.draws import Bools, Floats, Ints, uniform
from camoe.market.experiment.offers import Offers

# `fixed` is the part of the cost that comes from budgets that were spent: it would be the same with other users.
# `value` is what the shown ads are worth to their advertisers: bids for true chances of a click, or for impressions.
MEASURES = ("requests", "impressions", "clicks", "expected", "cost", "fixed", "value")
REQUESTS, IMPRESSIONS, CLICKS, EXPECTED, COST, FIXED, VALUE = range(len(MEASURES))
OUTCOMES = {"drawn": CLICKS, "expected": EXPECTED}


@dataclass(frozen=True, eq=False)
class Asked:
    """All requests, an entry each: `user`, `cell` and `covariate`, the mean prediction of control over its candidates.

    The covariate is the same whatever arm a user is in, so it may explain differences between users.
    """

    user: Ints
    cell: Ints
    covariate: Floats


def asked(offers: Offers, control: str) -> Asked:
    """Read what is asked for, whatever is shown."""
    users, cells, covariates = [], [], []
    for offer in offers():
        users.append(offer.user)
        cells.append(offer.cell)
        known = offer.candidate >= 0
        sums = np.where(known, offer.scores[control], 0.0).sum(axis=1)
        covariates.append(sums / np.maximum(known.sum(axis=1), 1))
    return Asked(np.concatenate(users), np.concatenate(cells), np.concatenate(covariates))


def buckets_of(users: Ints, buckets: int) -> Ints:
    """Return the bucket of each user, by a hash that arms do not use."""
    return (uniform("bucket", users) * buckets).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Side:
    """What was shown to some users, the `asked` requests of theirs, and the accounts that bid for them.

    `fixed` tells of each impression whether its account's budget of the day was spent.
    """

    asked: Asked
    shown: Shown
    fixed: Bools
    accounts: Accounts


def tabulated(requests: tuple[Ints, ...], impressions: tuple[Ints, ...], side: Side, shape: tuple[int, ...]) -> Floats:
    """Sum the `MEASURES` at the indices of each request and impression: shape (*shape, measures), in money."""
    size, shown, accounts = int(np.prod(shape)), side.shown, side.accounts
    asked_at, shown_at = (np.ravel_multi_index(index, shape) for index in (requests, impressions))
    worth = accounts.bid[shown.account] * np.where(accounts.for_clicks[shown.account], shown.expected, 1.0)
    columns = [
        summed(asked_at, np.ones(len(asked_at)), size),
        summed(shown_at, np.ones(len(shown_at)), size),
        summed(shown_at, shown.clicked, size),
        summed(shown_at, shown.expected, size),
        summed(shown_at, shown.cost / MICROS, size),
        summed(shown_at, np.where(side.fixed, shown.cost, 0) / MICROS, size),
        summed(shown_at, worth, size),
    ]
    table: Floats = np.stack(columns, axis=-1).reshape(*shape, len(MEASURES))
    return table


def summed(at: Ints, values: Floats | Ints, size: int) -> Floats:
    """Add up the values of each place 0 to `size` - 1."""
    return np.bincount(at, values, size).astype(np.float64)


def rates(sums: Floats, outcome: str) -> Mapping[str, Floats]:
    """Return CTR, eCPC, eCPM, and spend, fill and value a request, NaN where undefined.

    The last axis of `sums` is the measures.
    """
    requests, impressions, cost = sums[..., REQUESTS], sums[..., IMPRESSIONS], sums[..., COST]
    clicks = sums[..., OUTCOMES[outcome]]
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "ctr": clicks / impressions,
            "ecpc": cost / clicks,
            "ecpm": 1000 * cost / impressions,
            "spend": cost / requests,
            "fill": impressions / requests,
            "value": sums[..., VALUE] / requests,
        }


def changes(control: Floats, treated: Floats, outcome: str) -> dict[str, Floats]:
    """Return each rate of `treated` relative to `control`, less 1."""
    before, after = rates(control, outcome), rates(treated, outcome)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {name: after[name] / before[name] - 1 for name in before}
