"""The market beside two open simulators, each on a market with its rules, from clones: neither is on PyPI.

git clone https://github.com/amzn/auction-gym GYM && git clone https://github.com/yahoo/BudgetPacingSimulation PACING
python -m bench.market.simulators --auction-gym GYM --budget-pacing PACING
auction-gym sells the places of a pod at second prices and knows no budgets. BudgetPacingSimulation takes campaigns out
whose budget of the day is spent and knows first prices only, so its serving system is given auctions at second prices.
All money is whole micros, so that the three agree to the last digit or not at all. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.requests import Tick, joined
from camoe.market.auction.run import held
from camoe.market.config import MICROS, Pacing, Rules
from camoe.market.draws import Ints

# Request, place in the pod, campaign and price in micros.
Sale = tuple[int, int, int, int]
ENDLESS = 10**15
PLACES = 3


def scores(requests: int, campaigns: int, seed: int) -> Ints:
    """Return the score of each campaign for each request, shape (R, C), in micros; no two of a request are equal."""
    random = np.random.default_rng(seed)
    drawn = random.integers(1, 10**6 // campaigns, (requests, campaigns)) * campaigns
    found: Ints = drawn + random.permuted(np.tile(np.arange(campaigns), (requests, 1)), axis=1)
    return found


def ours(score: Ints, budgets: Ints, pods: Ints) -> list[Sale]:
    """Hold one tick of auctions without pacing and reserve."""
    requests, campaigns = score.shape
    endless = np.full(campaigns, ENDLESS)
    accounts = Accounts(
        campaign=np.arange(campaigns),
        bid=np.ones(campaigns),
        for_clicks=np.ones(campaigns, dtype=bool),
        daily=budgets,
        total=endless,
        first_day=np.zeros(campaigns, dtype=np.int64),
        last_day=np.zeros(campaigns, dtype=np.int64),
        cap=np.zeros(campaigns, dtype=np.int64),
        targets=np.ones((campaigns, 1), dtype=bool),
        plan=np.ones((campaigns, 1)),
    )
    p, rows = score / MICROS, np.arange(requests)
    everyone = np.tile(np.arange(campaigns), (requests, 1))
    tick = Tick(0, 0, rows, rows, np.zeros(requests, dtype=np.int64), pods, everyone, p, p)
    rules = Rules(ticks=1, exposure=(1.0,) * PLACES, pacing=Pacing(enabled=False))
    shown = joined(list(held([tick], accounts, rules)))
    return list(
        zip(
            *(values.tolist() for values in (shown.request, shown.position, shown.account, shown.cost)),
            strict=True,
        )
    )


def auction_gym(folder: Path, score: Ints, pods: Ints) -> list[Sale]:
    """Hold the auctions by auction-gym's `SecondPrice`."""
    mechanism = _module(folder / "src", "AuctionAllocation").SecondPrice()
    sales: list[Sale] = []
    for request, (bids, places) in enumerate(zip(score, pods.tolist(), strict=True)):
        winners, prices, _ = mechanism.allocate(bids, places)
        sales += [
            (request, place, int(winner), int(price))
            for place, (winner, price) in enumerate(zip(winners, prices, strict=True))
        ]
    return sales


class Given:
    """Bids of one campaign in the order of the requests, in place of a distribution."""

    def __init__(self, column: Sequence[int]) -> None:
        self.column, self.request = column, 0

    def rvs(self, size: int) -> Any:
        """Return the bid for the present request."""
        return np.array([float(self.column[self.request])] * size)


def budget_pacing(folder: Path, score: Ints, budgets: Ints) -> list[Sale]:
    """Hold the auctions, of one place each, by BudgetPacingSimulation's serving system."""
    settings = _module(folder, "src.configuration")
    settings.factor_untracked_bids, settings.bid_sampling_batch_size = 0, 1
    campaign, serving, auction = (
        _module(folder, f"src.system.{name}") for name in ("campaign", "serving_system", "auction")
    )
    bids = [Given(column) for column in score.T.tolist()]
    of = [
        campaign.Campaign(str(number), total_budget=float(budget), run_period=1, bids_distribution=given)
        for number, (budget, given) in enumerate(zip(budgets.tolist(), bids, strict=True))
    ]
    system, sales = serving.ServingSystem(tracked_campaigns=of), []
    for request in range(len(score)):
        for given in bids:
            given.request = request
        offered = sorted(system.get_bids(_Everyone()), reverse=True)
        if offered:
            price = offered[1].amount if len(offered) > 1 else 0.0
            system.update_winners([auction.AuctionWinner(bid=offered[0], payment=price)])
            sales.append((request, 0, int(offered[0].campaign_id), int(price)))
    return sales


class _Everyone:
    """A request that every campaign may bid for."""

    def user_properties(self) -> dict[str, int]:
        """Return none, since no campaign targets any."""
        return {}


def _module(folder: Path, name: str) -> Any:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return import_module(name)


def _timed(hold: Callable[[], list[Sale]]) -> tuple[list[Sale], float]:
    started = time.perf_counter()
    sales = hold()
    return sales, time.perf_counter() - started


def main(argv: list[str]) -> None:
    """Hold both markets by ours and theirs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--auction-gym", type=Path, help="a clone")
    parser.add_argument("--budget-pacing", type=Path, help="a clone")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--campaigns", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(argv)
    random = np.random.default_rng(chosen.seed)
    score = scores(chosen.requests, chosen.campaigns, chosen.seed)
    endless, one = np.full(chosen.campaigns, ENDLESS), np.ones(chosen.requests, dtype=np.int64)
    pods = random.integers(1, PLACES + 1, chosen.requests)
    # About half of what the day sells.
    budgets = random.permutation(np.geomspace(0.1, 2.0, chosen.campaigns))
    daily = (budgets / budgets.sum() * chosen.requests * 0.5 * MICROS).astype(np.int64)
    gym, pacing = chosen.auction_gym, chosen.budget_pacing
    figures: dict[str, float] = {}
    for name, folder, theirs, mine in (
        ("auction_gym", gym, lambda: auction_gym(gym, score, pods), lambda: ours(score, endless, pods)),
        ("budget_pacing", pacing, lambda: budget_pacing(pacing, score, daily), lambda: ours(score, daily, one)),
    ):
        if folder is None:
            continue
        (other, slow), (own, fast) = _timed(theirs), _timed(mine)
        print(f"{name}: {len(other):,} sales, the same as ours: {own == other}; {slow:.2f} s, ours {fast:.2f} s")
        figures |= {f"{name}_equal": own == other, f"{name}_seconds": round(slow, 2), f"{name}_ours": round(fast, 2)}
    config = {name: str(value) if isinstance(value, Path) else value for name, value in vars(chosen).items()}
    print(json.dumps({"bench": "market_simulators", "config": config, "figures": figures, "ratios": {}}))


if __name__ == "__main__":
    main(sys.argv[1:])
