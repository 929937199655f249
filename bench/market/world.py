"""A market of users, campaigns and models with known truth, in which experiments are tried."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from camoe.market.auction.accounts import Accounts, plan
from camoe.market.config import MICROS, Pacing, Rules
from camoe.market.draws import Floats
from camoe.market.experiment.offers import Cells, Offer
from camoe.market.experiment.run import Market

SLOTS = {"stream_audio": "audio", "stream_video": "video"}
RATES = (0.03, 0.08)
TICKS = 24


def cells_of(markets: int) -> Cells:
    """Return the cells of some markets with the two slots."""
    names = [f"M{number:02d}" for number in range(markets)]
    return Cells(tuple(name for name in names for _ in SLOTS), tuple(SLOTS) * markets, SLOTS)


def sigmoid(values: Floats) -> Floats:
    """Return the chances of log-odds."""
    found: Floats = 1 / (1 + np.exp(-values))
    return found


def world(
    seed: int = 1,
    *,
    requests: int = 20_000,
    users: int = 2_000,
    campaigns: int = 40,
    markets: int = 4,
    candidates: int = 8,
    days: int = 1,
    tightness: float = 0.5,
    rules: Rules | None = None,
) -> Market:
    """A market whose campaigns, with `tightness` above about 1, cannot spend their budgets.

    Models: `oracle` knows the truth, `good` and `poor` err in their log-odds, `scaled` is the poor one's times 1.3,
    `skewed` that of the poor one, 1.3 times for half of the campaigns.
    """
    rules = rules or Rules(ticks=TICKS, pacing=Pacing(start=0.5))
    random = np.random.default_rng(seed)
    cells = cells_of(markets)
    targets = np.repeat(random.random((campaigns, markets)) < 0.7, len(SLOTS), axis=1)
    targets[:, 0] = True
    hours = 1 + 0.8 * np.cos((np.arange(rules.ticks) / rules.ticks * 24 - 19) / 24 * 2 * np.pi)
    traffic = np.outer(np.where(np.arange(len(cells.slot)) % 2, 0.2, 0.8), hours)
    bid = np.exp(0.5 * random.standard_normal(campaigns)) * 5
    size = np.exp(0.7 * random.standard_normal(campaigns))
    sold = requests / days * 0.15
    accounts = Accounts(
        campaign=np.arange(campaigns),
        bid=bid,
        for_clicks=np.ones(campaigns, dtype=bool),
        daily=np.rint(size / size.sum() * sold * tightness * MICROS).astype(np.int64),
        total=np.full(campaigns, 10**15),
        first_day=np.zeros(campaigns, dtype=np.int64),
        last_day=np.full(campaigns, days),
        cap=np.zeros(campaigns, dtype=np.int64),
        targets=targets,
        plan=plan(targets, traffic),
    )
    sizes = (requests, users, campaigns, candidates, days)
    return Market(accounts, partial(_offers, seed, sizes, cells, traffic, rules), cells, rules)


def _offers(seed: int, sizes: tuple[int, ...], cells: Cells, traffic: Floats, rules: Rules) -> Iterator[Offer]:
    requests, users, campaigns, candidates, days = sizes
    random = np.random.default_rng((seed, 1))
    of_user, of_campaign = 0.7 * random.standard_normal(users), 0.3 * random.standard_normal(campaigns)
    taste = 0.7 * random.standard_normal((5, campaigns))
    home = random.integers(0, len(cells.markets), users)
    activity = random.pareto(3, users) + 0.3
    volumes = random.multinomial(requests, np.tile(traffic.sum(axis=0), days) / traffic.sum() / days)
    first = 0
    for place, rows in enumerate(volumes):
        user = random.choice(users, rows, p=activity / activity.sum())
        slot = (random.random(rows) < 0.2).astype(int)
        candidate = (random.integers(0, campaigns, (rows, 1)) + 1 + np.arange(candidates) * 3) % campaigns
        logit = np.log(np.array(RATES))[slot][:, None] + of_user[user][:, None] + of_campaign[candidate]
        logit = logit + taste[user % 5][np.arange(rows)[:, None], candidate]
        noise = random.standard_normal((2, rows, candidates))
        poor = sigmoid(logit - 0.18 + 0.6 * noise[0])
        scores = {
            "oracle": sigmoid(logit),
            "good": sigmoid(logit - 0.02 + 0.2 * noise[1]),
            "poor": poor,
            "scaled": poor * 1.3,
            "skewed": poor * np.where(candidate % 2, 1.3, 1.0),
        }
        yield Offer(
            day=place // rules.ticks,
            number=place % rules.ticks,
            request=np.arange(first, first + rows),
            user=user,
            cell=home[user] * len(SLOTS) + slot,
            pod=np.ones(rows, dtype=np.int64),
            candidate=candidate,
            scores=scores,
            truth=sigmoid(logit),
        )
        first += rows
