"""One tick of a market, exactly as if its auctions were held one after the other.

An auction depends on those before it in three ways: through the bid multipliers, which move at ticks only, through
budgets that end, and through caps that are reached. So all auctions of the tick are held at once, as if nothing ended;
what ended then is blocked for the rows after it, and those rows are held again, until nothing changes. A row depends on
earlier ones alone, so at least one more is final each time, and the end is the outcome of the plain loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.auction import CLOSED, Leaders, Winners, leaders, micros, winners
from camoe.market.auction.caps import Closed, closed_before, closed_within
from camoe.market.auction.requests import NONE, Shown, Tick
from camoe.market.auction.state import State, left, on_day, paced
from camoe.market.config import Rules
from camoe.market.draws import Bools, Floats, Ints, uniform


@dataclass(frozen=True, eq=False)
class _Market:
    """A tick before its first auction."""

    tick: Tick
    accounts: Accounts
    state: State
    rules: Rules
    score: Floats
    left: Ints


def settle(tick: Tick, accounts: Accounts, state: State, rules: Rules) -> tuple[Shown, State]:
    """Hold the auctions of `tick`; return what was shown, and the state after it."""
    state = paced(accounts, on_day(state, tick.day), rules.pacing, tick.number)
    remaining = left(accounts, state)
    score = _scores(tick, accounts, state, remaining)
    market = _Market(tick, accounts, state, rules, score, remaining)
    shown = _held(market)
    spent = np.bincount(shown.account, weights=shown.cost, minlength=accounts.count).astype(np.int64)
    capped = accounts.cap[shown.account] > 0
    seen = state.seen.plus((shown.user * accounts.count + shown.account)[capped])
    return shown, replace(state, today=state.today + spent, seen=seen)


def _scores(tick: Tick, accounts: Accounts, state: State, remaining: Ints) -> Floats:
    """Return bid · p · pacing of each candidate, `CLOSED` for those that may not show at the beginning of the tick."""
    candidate = tick.candidate
    # A candidate that is none reads the last account and is closed.
    score = (accounts.bid * state.multiplier)[candidate] * tick.p
    may = accounts.targets & (remaining > 0)[:, np.newaxis]
    score[~may[candidate, tick.cell[:, np.newaxis]] | (candidate == NONE)] = CLOSED
    score[closed_before(state.seen, accounts.cap).blocks(tick.user, candidate, accounts.count)] = CLOSED
    return score


def _held(market: _Market) -> Shown:
    places = len(market.rules.exposure)
    found = leaders(market.score, places)
    blocked = np.zeros(market.score.shape, dtype=bool)
    while True:
        shown, rows = _sold(market, winners(found, market.tick.pod, market.rules))
        now = _blocked(market, shown, rows)
        changed = np.flatnonzero((now != blocked).any(axis=1))
        if not len(changed):
            return shown
        again = leaders(np.where(now[changed], CLOSED, market.score[changed]), places)
        found = _replaced(found, changed, again)
        blocked = now


def _replaced(found: Leaders, rows: Ints, again: Leaders) -> Leaders:
    column, score = found.column.copy(), found.score.copy()
    column[rows], score[rows] = again.column, again.score
    return Leaders(column, score)


def _sold(market: _Market, won: Winners) -> tuple[Shown, Ints]:
    """Return the impressions of the places `won`, and the row of each."""
    tick, accounts, rules = market.tick, market.accounts, market.rules
    account = tick.candidate[won.row, won.column]
    p = tick.p[won.row, won.column]
    expected = tick.truth[won.row, won.column] * np.array(rules.exposure)[won.position]
    request = tick.request[won.row]
    clicked = uniform(f"click {rules.seed}", request, accounts.campaign[account]) < expected
    by_click = accounts.for_clicks[account] & (rules.charge == "click")
    events = expected if rules.spend == "expected" else clicked.astype(np.float64)
    cost = micros(np.where(by_click, won.price / np.where(by_click, p, 1.0) * events, won.price))
    shown = Shown(
        request=request,
        user=tick.user[won.row],
        cell=tick.cell[won.row],
        account=account,
        position=won.position,
        tick=np.full(len(account), tick.day * rules.ticks + tick.number),
        p=p,
        expected=expected,
        clicked=clicked.astype(np.int64),
        cost=cost,
    )
    return shown, won.row


def _blocked(market: _Market, shown: Shown, rows: Ints) -> Bools:
    """Return which candidates are blocked by what the impressions before their row used up."""
    candidate, accounts = market.tick.candidate, market.accounts
    ended = _ended(shown, rows, market.left, len(candidate))
    row = np.arange(len(candidate))[:, np.newaxis]
    first = int(ended.min(initial=len(candidate))) + 1
    blocked = np.zeros(candidate.shape, dtype=bool)
    blocked[first:] = row[first:] > ended[candidate[first:]]
    capped = accounts.cap[shown.account] > 0
    keys = (shown.user * accounts.count + shown.account)[capped]
    closed: Closed = closed_within(market.state.seen, keys, rows[capped], accounts.cap)
    blocked |= closed.blocks(market.tick.user, candidate, accounts.count)
    return blocked


def _ended(shown: Shown, rows: Ints, remaining: Ints, never: int) -> Ints:
    """Return, by account, the row whose impression spent the last of what remained; `never` where it lasts."""
    ended = np.full(len(remaining), never)
    order = np.argsort(shown.account, kind="stable")
    account, spent = shown.account[order], np.cumsum(shown.cost[order])
    first = np.flatnonzero(np.concatenate([[True], account[1:] != account[:-1]])[: len(account)])
    before = np.concatenate([[0], spent])[first]
    lengths = np.diff(np.append(first, len(account)))
    over = np.flatnonzero(spent - np.repeat(before, lengths) >= remaining[account])
    # Of several rows past the end the first counts: written last.
    ended[account[over[::-1]]] = rows[order][over[::-1]]
    return ended
