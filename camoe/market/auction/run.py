"""A market over its days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.requests import Shown, Tick
from camoe.market.auction.settle import settle
from camoe.market.auction.state import fresh
from camoe.market.config import Rules
from camoe.market.draws import Bools, Floats, Ints


def held(ticks: Iterable[Tick], accounts: Accounts, rules: Rules) -> Iterator[Shown]:
    """Hold the auctions of `ticks`, which come in order of time; yield what each tick showed."""
    state = None
    for tick in ticks:
        state = state or fresh(accounts, rules.pacing, tick.day)
        shown, state = settle(tick, accounts, state, rules)
        yield shown


@dataclass(frozen=True)
class Overspend:
    """Accounts and days on which more was spent than the budget, and by how many of the last price at most."""

    days: int
    prices: float


def overspend(shown: Shown, accounts: Accounts, ticks: int) -> Overspend:
    """Count where daily budgets were passed; `prices` above 1 would be a fault."""
    key, spent = _by_day(shown, accounts, ticks)
    last = np.zeros(len(spent), dtype=np.int64)
    charged = shown.cost > 0
    last[key[charged]] = shown.cost[charged]
    over = spent - accounts.daily[np.arange(len(spent)) % accounts.count]
    passed = over > 0
    return Overspend(int(passed.sum()), float((over[passed] / last[passed]).max(initial=0.0)))


def spent_out(shown: Shown, accounts: Accounts, ticks: int) -> Bools:
    """Return which impressions are of an account and day whose budget was spent, but for a twentieth."""
    key, spent = _by_day(shown, accounts, ticks)
    budgets = accounts.daily[np.arange(len(spent)) % accounts.count]
    found: Bools = (spent >= 0.95 * budgets)[key]
    return found


def _by_day(shown: Shown, accounts: Accounts, ticks: int) -> tuple[Ints, Floats]:
    """Return the number of each impression's account and day, and what was spent by number."""
    day = shown.tick // ticks
    key: Ints = (day - day.min(initial=0)) * accounts.count + shown.account
    return key, np.bincount(key, weights=shown.cost).astype(np.float64)
