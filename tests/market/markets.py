"""Small markets for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.requests import NONE, Tick
from camoe.market.config import MICROS

ENDLESS = 10**12


def accounts_of(bids: Sequence[float], ticks: int = 1, cells: int = 1, **given: Any) -> Accounts:
    """Accounts that bid for clicks, everywhere, always, without end; `given` are fields, budgets in whole units."""
    n = len(bids)
    made = Accounts(
        campaign=np.arange(n),
        bid=np.array(bids, dtype=float),
        for_clicks=np.ones(n, dtype=bool),
        daily=np.full(n, ENDLESS),
        total=np.full(n, ENDLESS),
        first_day=np.zeros(n, dtype=np.int64),
        last_day=np.full(n, 1000),
        cap=np.zeros(n, dtype=np.int64),
        targets=np.ones((n, cells), dtype=bool),
        plan=np.tile(np.arange(1, ticks + 1) / ticks, (n, 1)),
    )
    money = {
        name: np.rint(np.array(given.pop(name)) * MICROS).astype(np.int64)
        for name in ("daily", "total")
        if name in given
    }
    return replace(made, **money, **{name: np.array(value) for name, value in given.items()})


def tick_of(
    p: Sequence[Sequence[float]],
    truth: Sequence[Sequence[float]] | None = None,
    candidate: Sequence[Sequence[int]] | None = None,
    **given: Any,
) -> Tick:
    """A tick of one request a row of `p`; by default each of another user, for one place, all accounts in order."""
    chances = np.array(p, dtype=float)
    rows, columns = chances.shape
    made = Tick(
        day=0,
        number=0,
        request=np.arange(rows),
        user=np.arange(rows),
        cell=np.zeros(rows, dtype=np.int64),
        pod=np.ones(rows, dtype=np.int64),
        candidate=np.tile(np.arange(columns), (rows, 1)) if candidate is None else np.array(candidate),
        p=chances,
        truth=chances if truth is None else np.array(truth, dtype=float),
    )
    arrays: dict[str, Any] = {n: value if isinstance(value, int) else np.array(value) for n, value in given.items()}
    return replace(made, **arrays)


def random_market(
    seed: int, n: int = 8, ticks: int = 4, days: int = 2, rows: int = 12, columns: int = 5, spread: float = 1.0
) -> tuple[list[Tick], Accounts]:
    """A crowded market of few users, with budgets and caps that end within ticks."""
    random = np.random.default_rng(seed)
    cells = 2
    daily = random.integers(1, 400_000, n) * random.choice([1, 50], n)
    accounts = accounts_of((random.exponential(5, n).round(2) + 0.1).tolist(), ticks, cells)
    accounts = replace(
        accounts,
        for_clicks=random.random(n) < 0.8,
        daily=daily,
        total=daily * random.integers(1, 3, n),
        first_day=random.integers(0, 2, n),
        last_day=random.integers(1, 3, n),
        cap=random.integers(0, 3, n),
        targets=random.random((n, cells)) < 0.8,
    )
    accounts = replace(accounts, bid=np.where(accounts.for_clicks, accounts.bid, accounts.bid / 20))
    made = [
        _tick(random, accounts, (day, number, rows, columns), spread) for day in range(days) for number in range(ticks)
    ]
    return made, accounts


def _tick(random: np.random.Generator, accounts: Accounts, shape: tuple[int, int, int, int], spread: float) -> Tick:
    day, number, rows, columns = shape
    candidate = np.array([random.permutation(accounts.count)[:columns] for _ in range(rows)]).reshape(rows, columns)
    truth = 1 / (1 + np.exp(3 - spread * random.standard_normal((rows, columns))))
    p = np.where(accounts.for_clicks[candidate], np.round(truth, 2), 1.0)
    candidate[random.random((rows, columns)) < 0.1] = NONE
    return Tick(
        day=day,
        number=number,
        request=random.integers(0, 10**9, rows),
        user=random.integers(0, 5, rows),
        cell=random.integers(0, 2, rows),
        pod=random.integers(1, 3, rows),
        candidate=candidate,
        p=p,
        truth=truth,
    )
