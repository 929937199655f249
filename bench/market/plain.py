"""A market as one would write it first: a loop over auctions, in plain Python. Slow, and meant to be read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.requests import NONE, Tick
from camoe.market.config import MICROS, Rules
from camoe.market.draws import uniform


@dataclass
class Books:
    """What a market remembers: micros spent, multipliers, and whom it showed what on the day."""

    multiplier: list[float]
    behind: list[float]
    today: list[int]
    ever: list[int]
    seen: Counter[tuple[int, int]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Sale:
    """One impression."""

    request: int
    account: int
    position: int
    cost: int
    clicked: bool


def plain_market(ticks: Iterable[Tick], accounts: Accounts, rules: Rules) -> list[Sale]:
    """Hold the auctions one after the other; return the impressions in order."""
    n, day = accounts.count, None
    books = Books([rules.pacing.start if rules.pacing.enabled else 1.0] * n, [0.0] * n, [0] * n, [0] * n)
    sales: list[Sale] = []
    for tick in ticks:
        if tick.day != day:
            day, books.today, books.seen, books.behind = tick.day, [0] * n, Counter(), [0.0] * n
        if rules.pacing.enabled:
            _pace(tick, accounts, books, rules)
        for row in range(len(tick.request)):
            sales += _auction(tick, row, accounts, books, rules)
    return sales


def _pace(tick: Tick, accounts: Accounts, books: Books, rules: Rules) -> None:
    pacing = rules.pacing
    for account in range(accounts.count):
        before = books.ever[account] - books.today[account]
        budget = max(1, min(accounts.daily[account], accounts.total[account] - before))
        planned = accounts.plan[account, tick.number - 1] if tick.number else 0.0
        behind = (planned - books.today[account] / budget) * accounts.plan.shape[1]
        wanted = pacing.gain * (behind - books.behind[account]) + pacing.catch_up * behind
        books.behind[account] = behind
        if accounts.first_day[account] <= tick.day <= accounts.last_day[account]:
            moved = min(pacing.step, max(-pacing.step, wanted))
            books.multiplier[account] = min(1.0, max(pacing.floor, books.multiplier[account] * math.exp(moved)))


def _auction(tick: Tick, row: int, accounts: Accounts, books: Books, rules: Rules) -> list[Sale]:
    reserve = rules.reserve / 1000
    ranked = []
    for column, account in enumerate(tick.candidate[row].tolist()):
        if account != NONE and _eligible(tick, row, account, accounts, books):
            score = accounts.bid[account] * books.multiplier[account] * tick.p[row, column]
            ranked.append((-score, column, account))
    ranked.sort()
    sales = []
    for position, (negative, column, account) in enumerate(ranked[: min(tick.pod[row], len(rules.exposure))]):
        if -negative < reserve or negative == 0:
            break
        following = -ranked[position + 1][0] if position + 1 < len(ranked) else 0.0
        sales.append(_sold(tick, (row, column, account), position, max(reserve, following), (accounts, rules)))
    for sale in sales:
        books.today[sale.account] += sale.cost
        books.ever[sale.account] += sale.cost
        books.seen[int(tick.user[row]), sale.account] += 1
    return sales


def _eligible(tick: Tick, row: int, account: int, accounts: Accounts, books: Books) -> bool:
    cap = accounts.cap[account]
    return bool(
        accounts.targets[account, tick.cell[row]]
        and accounts.first_day[account] <= tick.day <= accounts.last_day[account]
        and books.today[account] < accounts.daily[account]
        and books.ever[account] < accounts.total[account]
        and (not cap or books.seen[int(tick.user[row]), account] < cap)
    )


def _sold(tick: Tick, at: tuple[int, int, int], position: int, price: float, market: tuple[Accounts, Rules]) -> Sale:
    (row, column, account), (accounts, rules) = at, market
    chance = tick.truth[row, column] * rules.exposure[position]
    campaign = int(accounts.campaign[account])
    clicked = bool(uniform(f"click {rules.seed}", int(tick.request[row]), campaign) < chance)
    if accounts.for_clicks[account] and rules.charge == "click":
        price = price / tick.p[row, column] * (chance if rules.spend == "expected" else clicked)
    return Sale(int(tick.request[row]), account, position, round(price * MICROS), clicked)
