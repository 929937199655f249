"""Who spends: campaigns, or the share of each campaign that an arm of an experiment has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from camoe.market.draws import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class Accounts:
    """Accounts 0 to n - 1, an entry each. Money in micros, so that sums are exact in any order.

    `campaign` names the account's campaign. `bid` is money for a click where `for_clicks`, else for an impression.
    `daily` and `total` are budgets, `first_day` and `last_day` the flight, both included. `cap` is the most impressions
    that a user is shown on a day; 0 for no cap. `targets`, shape (n, cells), are the cells (market and queue) in which
    it may show; `plan`, shape (n, ticks), is the share of the day's budget that is to be spent by the end of each tick.
    """

    campaign: Ints
    bid: Floats
    for_clicks: Bools
    daily: Ints
    total: Ints
    first_day: Ints
    last_day: Ints
    cap: Ints
    targets: Bools
    plan: Floats

    @property
    def count(self) -> int:
        """Number of accounts."""
        return len(self.campaign)


def split(accounts: Accounts, shares: tuple[float, ...]) -> Accounts:
    """Give each share of the users its own accounts with that share of each budget: those of share s begin at s·n."""
    parts = len(shares)
    repeated = {name: np.concatenate([values] * parts) for name, values in vars(accounts).items()}
    budgets = {
        name: np.concatenate([np.floor(getattr(accounts, name) * share).astype(np.int64) for share in shares])
        for name in ("daily", "total")
    }
    return replace(accounts, **{**repeated, **budgets})


def plan(targets: Bools, traffic: Floats) -> Floats:
    """Return each account's cumulative share by tick of the traffic, shape (cells, ticks), of its cells.

    An account without any traffic is planned flat.
    """
    expected: Floats = targets.astype(np.float64) @ traffic
    idle = expected.sum(axis=1) == 0
    expected[idle] = 1.0
    cumulative: Floats = np.cumsum(expected, axis=1) / expected.sum(axis=1, keepdims=True)
    return cumulative
