"""What a market carries from tick to tick."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.caps import NOT_SEEN, Seen
from camoe.market.config import Pacing
from camoe.market.draws import Bools, Floats, Ints


@dataclass(frozen=True, eq=False)
class State:
    """Micros that each account spent `today` and before (`earlier`), its pace, and who was shown what today (`seen`).

    The pace is the bid `multiplier`, and `behind`: how many mean ticks of spend it was behind its plan when that moved.
    """

    day: int
    today: Ints
    earlier: Ints
    multiplier: Floats
    behind: Floats
    seen: Seen


def fresh(accounts: Accounts, pacing: Pacing, day: int) -> State:
    """Return the state before the first tick of `day`, the first day."""
    nothing = np.zeros(accounts.count, dtype=np.int64)
    start = pacing.start if pacing.enabled else 1.0
    return State(day, nothing, nothing, np.full(accounts.count, start), np.zeros(accounts.count), NOT_SEEN)


def on_day(state: State, day: int) -> State:
    """Return the state on `day`: on a new one, budgets and caps of the day are whole again."""
    if day == state.day:
        return state
    earlier = state.earlier + state.today
    return State(day, np.zeros_like(earlier), earlier, state.multiplier, np.zeros_like(state.behind), NOT_SEEN)


def left(accounts: Accounts, state: State) -> Ints:
    """Return the micros that each account may still spend today; none outside its flight, below 0 if overspent."""
    flying = (accounts.first_day <= state.day) & (state.day <= accounts.last_day)
    return np.where(flying, np.minimum(accounts.daily - state.today, accounts.total - state.earlier - state.today), 0)


def paced(accounts: Accounts, state: State, pacing: Pacing, tick: int) -> State:
    """Return the state with the multipliers for `tick`: higher where less was spent than planned by its beginning."""
    if not pacing.enabled:
        return state
    ticks = accounts.plan.shape[1]
    planned = accounts.plan[:, tick - 1] if tick else np.zeros(accounts.count)
    budget = np.maximum(_budget(accounts, state), 1)
    behind = (planned - state.today / budget) * ticks
    wanted = pacing.gain * (behind - state.behind) + pacing.catch_up * behind
    moved = np.clip(state.multiplier * np.exp(np.clip(wanted, -pacing.step, pacing.step)), pacing.floor, 1.0)
    return replace(state, multiplier=np.where(_flies(accounts, state), moved, state.multiplier), behind=behind)


def _budget(accounts: Accounts, state: State) -> Ints:
    """Return what each account may spend on the whole day."""
    budget: Ints = np.minimum(accounts.daily, accounts.total - state.earlier)
    return budget


def _flies(accounts: Accounts, state: State) -> Bools:
    return (accounts.first_day <= state.day) & (state.day <= accounts.last_day)
