"""One design's outcome as sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.auction.requests import Shown, Tick, joined
from camoe.market.auction.run import Overspend, held
from camoe.market.config import MICROS, Rules
from camoe.market.draws import Floats, Ints
from camoe.market.experiment.measures import Asked, Side, buckets_of, summed, tabulated
from camoe.market.experiment.offers import Cells

BINS = 24
LOWEST = 1e-4


@dataclass(frozen=True, eq=False)
class Counted:
    """Sums by arm; the last axis of `users` and `campaigns` is the measures.

    `users`: (arm, bucket of users, slot, measure). `campaigns`: (arm, campaign · markets + market, queue, measure),
    without requests. `covariate`: (arm, bucket, queue, 2), sum and requests. `spend`: (arm, tick of the day), money.
    `won`: (arm, queue, bin of predicted probability, 3): impressions, predicted and true clicks of campaigns that bid
    for clicks. `over`: what each market spent over its budgets.
    """

    users: Floats
    campaigns: Floats
    covariate: Floats
    spend: Floats
    won: Floats
    over: tuple[Overspend, ...]


def market_of(ticks: Iterable[Tick], accounts: Accounts, rules: Rules) -> Shown:
    """Hold a market; return all impressions."""
    return joined(list(held(ticks, accounts, rules)))


def counted(sides: tuple[Side, Side], over: tuple[Overspend, ...], cells: Cells, rules: Rules, buckets: int) -> Counted:
    """Count both arms: what control saw and what the treated users saw."""
    parts = [_side(side, cells, rules, buckets) for side in sides]
    users, by_campaign, covariate, spend, won = (np.stack(part) for part in zip(*parts, strict=True))
    return Counted(users, by_campaign, covariate, spend, won, over)


def _side(side: Side, cells: Cells, rules: Rules, buckets: int) -> tuple[Floats, ...]:
    shown, asked, campaigns = side.shown, side.asked, int(side.accounts.campaign.max()) + 1
    slot, queue, market = _places(cells)
    asked_in, shown_in = buckets_of(asked.user, buckets), buckets_of(shown.user, buckets)
    users = tabulated((asked_in, slot[asked.cell]), (shown_in, slot[shown.cell]), side, (buckets, len(cells.slots)))
    nowhere = (np.empty(0, dtype=np.int64),) * 2
    campaign = side.accounts.campaign[shown.account] * len(cells.markets) + market[shown.cell]
    by_campaign = tabulated(
        nowhere, (campaign, queue[shown.cell]), side, (campaigns * len(cells.markets), len(cells.queues))
    )
    return (
        users,
        by_campaign,
        _covariate(asked, asked_in, queue, buckets),
        _spend(shown, rules),
        _won(side, queue, rules),
    )


def _places(cells: Cells) -> tuple[Ints, Ints, Ints]:
    """Return the numbers of each cell's slot, queue and market."""
    slot = cells.numbered(cells.slot, cells.slots)
    queue = cells.numbered(tuple(cells.queue[name] for name in cells.slot), cells.queues)
    return slot, queue, cells.numbered(cells.market, cells.markets)


def _covariate(asked: Asked, bucket: Ints, queue: Ints, buckets: int) -> Floats:
    queues = int(queue.max()) + 1
    at = bucket * queues + queue[asked.cell]
    columns = (asked.covariate, np.ones(len(at)))
    return np.stack([summed(at, one, buckets * queues) for one in columns], axis=-1).reshape(buckets, queues, 2)


def _spend(shown: Shown, rules: Rules) -> Floats:
    return summed(shown.tick % rules.ticks, shown.cost / MICROS, rules.ticks)


def _won(side: Side, queue: Ints, rules: Rules) -> Floats:
    shown, queues = side.shown, int(queue.max()) + 1
    bids = side.accounts.for_clicks[shown.account]
    predicted = (shown.p * np.array(rules.exposure)[shown.position])[bids]
    place = np.log(np.maximum(predicted, LOWEST) / LOWEST) / np.log(1 / LOWEST) * BINS
    at = queue[shown.cell[bids]] * BINS + np.minimum(place.astype(np.int64), BINS - 1)
    weights = (np.ones(len(at)), predicted, shown.expected[bids])
    return np.stack([summed(at, one, queues * BINS) for one in weights], axis=-1).reshape(queues, BINS, 3)
