"""How fast a market is held: one day of requests with many candidates each, beside a plain loop over auctions.

python -m bench.market --requests 1000000 --candidates 60
The loop holds the first `--loop` requests only; both must sell the same impressions for the same prices. Requests are
made tick by tick, so memory holds one tick's candidates; making them is not timed. Prints seconds, peak memory and what
was sold; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np

from bench.market.plain import plain_market
from camoe.market.auction.accounts import Accounts, plan
from camoe.market.auction.requests import Shown, Tick, joined
from camoe.market.auction.run import overspend
from camoe.market.auction.settle import settle
from camoe.market.auction.state import fresh
from camoe.market.config import MICROS, Rules
from camoe.market.draws import Floats

MARKETS, QUEUES = 20, 2
CELLS = MARKETS * QUEUES


def traffic(ticks: int) -> Floats:
    """Return the expected requests of each market and queue by tick, a day's wave shifted by market; sums to 1."""
    hours = np.arange(ticks) / ticks * 24
    shift = np.arange(CELLS) // QUEUES
    wave = 1 + 0.8 * np.cos((hours[np.newaxis, :] - 19 + shift[:, np.newaxis] / 2) / 24 * 2 * np.pi)
    size = 1 / (1 + shift) * np.where(np.arange(CELLS) % QUEUES, 0.3, 0.7)
    volume: Floats = wave * size[:, np.newaxis]
    share: Floats = volume / volume.sum()
    return share


def campaigns(count: int, requests: int, seed: int, ticks: int) -> Accounts:
    """Return campaigns whose budgets are worth about what the day sells."""
    random = np.random.default_rng(seed)
    for_clicks = random.random(count) < 0.8
    bid = random.exponential(5, count) + 1
    daily = (random.pareto(1.5, count) + 0.2) * requests / count * 0.08 * MICROS
    targets = random.random((count, CELLS)) < 0.5
    return Accounts(
        campaign=np.arange(count),
        bid=np.where(for_clicks, bid, bid * 0.02),
        for_clicks=for_clicks,
        daily=daily.astype(np.int64) + 1,
        total=np.full(count, 10**15),
        first_day=np.zeros(count, dtype=np.int64),
        last_day=np.zeros(count, dtype=np.int64),
        cap=np.where(random.random(count) < 0.5, 3, 0),
        targets=targets,
        plan=plan(targets, traffic(ticks)),
    )


def requests(accounts: Accounts, count: int, candidates: int, rules: Rules, seed: int) -> Iterator[Tick]:
    """Yield the ticks of the day; users come about ten times."""
    random = np.random.default_rng(seed)
    expected, first = traffic(rules.ticks), 0
    for number, volumes in enumerate(
        random.multinomial(count, (expected / expected.sum()).ravel()).reshape(CELLS, -1).T
    ):
        rows = int(volumes.sum())
        cell = random.permutation(np.repeat(np.arange(CELLS), volumes))
        stride = random.integers(1, accounts.count // candidates, rows)
        candidate = random.integers(0, accounts.count, rows)[:, np.newaxis] + stride[:, np.newaxis] * np.arange(
            candidates
        )
        candidate %= accounts.count
        truth = 0.02 * np.exp(random.standard_normal((rows, candidates)) * 0.8)
        p = np.where(accounts.for_clicks[candidate], truth, 1.0)
        user, pod = random.integers(0, max(1, count // 10), rows), random.integers(1, 3, rows)
        request = np.arange(first, first + rows)
        yield Tick(0, number, request, user, cell, pod, candidate, p, truth)
        first += rows


def timed(ticks: Iterator[Tick], accounts: Accounts, rules: Rules) -> tuple[float, Shown]:
    """Hold the market; return the seconds that it took without the making of requests, and what was shown."""
    seconds, parts, state = 0.0, [], fresh(accounts, rules.pacing, 0)
    for tick in ticks:
        started = time.perf_counter()
        shown, state = settle(tick, accounts, state, rules)
        parts.append(shown)
        seconds += time.perf_counter() - started
    return seconds, joined(parts)


def first_of(ticks: Iterator[Tick], most: int) -> list[Tick]:
    """Return the first ticks, until they hold `most` requests."""
    found: list[Tick] = []
    for tick in ticks:
        if sum(len(one.request) for one in found) >= most:
            break
        found.append(tick)
    return found


def main(argv: list[str]) -> None:
    """Time both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--candidates", type=int, default=60)
    parser.add_argument("--campaigns", type=int, default=2000)
    parser.add_argument("--loop", type=int, default=20_000, help="requests of the plain loop")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(argv)
    rules = Rules(exposure=(1.0, 0.8), reserve=5.0)
    accounts = campaigns(chosen.campaigns, chosen.requests, chosen.seed, rules.ticks)
    made = (chosen.requests, chosen.candidates, rules, chosen.seed)
    seconds, shown = timed(requests(accounts, *made), accounts, rules)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    over = overspend(shown, accounts, rules.ticks)
    few = first_of(requests(accounts, *made), chosen.loop)
    rows = sum(len(tick.request) for tick in few)
    own, same = timed(iter(few), accounts, rules)
    started = time.perf_counter()
    plain = plain_market(few, accounts, rules)
    loop = time.perf_counter() - started
    pairs = zip(same.request.tolist(), same.account.tolist(), same.cost.tolist(), strict=True)
    equal = list(pairs) == [(sale.request, sale.account, sale.cost) for sale in plain]
    ended = int((np.bincount(shown.account, shown.cost, accounts.count) >= accounts.daily).sum())
    print(f"{chosen.requests:,} requests x {chosen.candidates}: {seconds:.1f} s, peak {peak:.2f} GB")
    print(f"{len(shown.request):,} impressions, {ended:,} budgets spent, at most {over.prices:.2f} of a price over")
    print(f"first {rows:,} requests: {own:.2f} s, plain loop {loop:.1f} s, the same sales: {equal}")
    figures = {"seconds": seconds, "peak_gb": peak, "impressions": len(shown.request), "budgets_spent": ended}
    figures |= {"overspend_prices": over.prices, "loop_us_per_request": loop / rows * 1e6, "equal": int(equal)}
    figures = {name: round(value, 3) for name, value in figures.items()}
    speedup = (loop / rows) / (seconds / chosen.requests)
    print(
        json.dumps(
            {"bench": "market", "config": vars(chosen), "figures": figures, "ratios": {"loop": round(speedup, 1)}}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
