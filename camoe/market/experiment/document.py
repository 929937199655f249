"""What an experiment found, as a document of plain values for a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from camoe.market.auction.accounts import Accounts
from camoe.market.config import ExperimentConfig
from camoe.market.draws import Floats
from camoe.market.experiment.adjusted import cuped
from camoe.market.experiment.counted import Counted
from camoe.market.experiment.measures import MEASURES, OUTCOMES, VALUE, changes, rates
from camoe.market.experiment.power import foreseen
from camoe.market.experiment.run import Found, Market
from camoe.market.experiment.significance import RATIOS, bootstrapped, holm, paired
from camoe.metrics.intervals import Interval, optional

ALL = "all"
SIZES = 5
Document = dict[str, Any]


def document(market: Market, found: Found, chosen: ExperimentConfig, days: int) -> Document:
    """Return the whole document; all numbers are finite or null."""
    cells, rules = market.cells, market.rules
    whole, split = found.designs["whole"], found.designs["split"]
    requests = whole.users[0].sum(axis=(0, 1))
    return {
        "run": {
            "control": chosen.control,
            "treated": chosen.treated,
            "charge": rules.charge,
            "spend": rules.spend,
            "stand_in": market.stand_in,
            "requests": int(requests[0]),
            "users": list(found.users),
            "days": days,
            "markets": len(cells.markets),
            "campaigns": market.accounts.count,
            "share": chosen.share,
            "seed": rules.seed,
            "salt": chosen.salt,
            "level": chosen.level,
            "power": chosen.power,
            "wanted": chosen.wanted,
            "buckets": chosen.buckets,
            "repeats": chosen.repeats,
        },
        "sample_ratio": found.sample_ratio,
        "power": power(market, whole.users[0], chosen, days),
        "result": _result(market, split, whole, chosen),
        "designs": {name: _rows(counted, market) for name, counted in found.designs.items()},
        "a_a": _tests(market, found.designs["a_a"]),
        "adjusted": _adjusted(market, split),
        "overspend": {
            name: [{"days": over.days, "prices": over.prices} for over in counted.over]
            for name, counted in found.designs.items()
        },
        "spend": {name: counted.spend.tolist() for name, counted in found.designs.items()},
        "planned": _planned(market.accounts).tolist(),
        "won": {name: counted.won.tolist() for name, counted in found.designs.items()},
        "queues": list(cells.queues),
        "sizes": _sizes(market, whole),
    }


def _by_queue(users: Floats, market: Market) -> dict[str, Floats]:
    """Return the sums of all slots, then of each queue, of sums whose axis before the last is the slots."""
    queues = np.array([market.cells.queue[slot] for slot in market.cells.slots])
    return {ALL: users.sum(axis=-2)} | {
        name: users[..., queues == name, :].sum(axis=-2) for name in market.cells.queues
    }


def _rows(counted: Counted, market: Market) -> list[Document]:
    """Return each arm's rates and the changes, by queue and way of counting clicks."""
    rows = []
    for queue, users in _by_queue(counted.users, market).items():
        arms = users.sum(axis=1)
        for outcome in OUTCOMES:
            rows.append(
                {
                    "queue": queue,
                    "outcome": outcome,
                    "sums": [dict(zip(MEASURES, arm.tolist(), strict=True)) for arm in arms],
                    "rates": [_plain(rates(arm, outcome)) for arm in arms],
                    "changes": _plain(changes(arms[0], arms[1], outcome)),
                }
            )
    return rows


def _result(market: Market, split: Counted, whole: Counted, chosen: ExperimentConfig) -> list[Document]:
    """Return the rows of the table as published: CTR and eCPC of each queue, in the split of budgets.

    `truth` is the change of the whole market by expected clicks. Both of its worlds have the same users, so what it
    would be with others, `truth_interval`, is known far better than what a split of them tells.
    """
    truth = _truth(market, whole, chosen)
    rows = []
    for outcome in OUTCOMES:
        of_queue = {name: users for name, users in _by_queue(split.users, market).items() if name != ALL}
        for rate in RATIOS:
            tested = {name: paired(users, rate, outcome) for name, users in of_queue.items()}
            adjusted = holm({name: one.p for name, one in tested.items()})
            for name, users in of_queue.items():
                sums = users.sum(axis=1)
                ends = bootstrapped(users, outcome, chosen.repeats, seed=market.rules.seed)[rate]
                rows.append(
                    {
                        "queue": name,
                        "rate": rate,
                        "outcome": outcome,
                        "change": optional(changes(sums[0], sums[1], outcome)[rate]),
                        "interval": _ends(ends),
                        "p": optional(tested[name].p),
                        "p_holm": optional(adjusted[name]),
                        "p_markets": optional(paired(_markets(split, market, name), rate, outcome).p),
                        **truth[name, rate],
                    }
                )
    return rows


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _truth(market: Market, whole: Counted, chosen: ExperimentConfig) -> dict[tuple[str, str], Document]:
    rows = {}
    for name, users in _by_queue(whole.users, market).items():
        sums = users.sum(axis=1)
        found = changes(sums[0], sums[1], "expected")
        ends = bootstrapped(users, "expected", chosen.repeats, seed=market.rules.seed)
        for rate in RATIOS:
            rows[name, rate] = {
                "truth": optional(found[rate]),
                "truth_interval": _ends(ends[rate]),
                "truth_p": optional(paired(users, rate, "expected").p),
            }
    return rows


def _markets(counted: Counted, market: Market, queue: str) -> Floats:
    """Return the sums of a queue by market, shape (arm, market, measure).

    The differences of campaign and market are added up by market before their spread is taken: the campaigns of one
    market share its users, and tests that took them for independent would find too much.
    """
    place = market.cells.queues.index(queue)
    by_pair = counted.campaigns[:, :, place].reshape(2, -1, len(market.cells.markets), len(MEASURES))
    summed: Floats = by_pair.sum(axis=1)
    return summed


def _tests(market: Market, counted: Counted) -> list[Document]:
    return [
        {"queue": name, "rate": rate, "outcome": outcome, "p": optional(paired(users, rate, outcome).p)}
        for name, users in _by_queue(counted.users, market).items()
        for rate in RATIOS
        for outcome in OUTCOMES
    ]


def _adjusted(market: Market, counted: Counted) -> list[Document]:
    rows = []
    for place, name in enumerate(market.cells.queues):
        users = _by_queue(counted.users, market)[name]
        for outcome in OUTCOMES:
            found = cuped(users, counted.covariate[:, :, place], "ctr", outcome)
            values = {"change": float(np.expm1(found.log_ratio)), "p": found.p, "gain": found.gain}
            half = 1.96 * found.error
            values |= {"low": float(np.expm1(found.log_ratio - half)), "high": float(np.expm1(found.log_ratio + half))}
            rows.append({"queue": name, "outcome": outcome, **{key: optional(value) for key, value in values.items()}})
    return rows


def power(market: Market, control: Floats, chosen: ExperimentConfig, days: int) -> list[Document]:
    """Return what the split will see, by queue, from control's sums of users; what a `wanted` change takes, too."""
    given = {"share": chosen.share, "level": chosen.level, "power": chosen.power, "wanted": chosen.wanted}
    rows = []
    for name, users in _by_queue(control, market).items():
        row: Document = {"queue": name}
        for outcome in OUTCOMES:
            seen = foreseen(users, "ctr", outcome, **given)
            weeks, times = seen.times * days / 7, optional(seen.times)
            row[outcome] = {"smallest": optional(seen.smallest), "weeks": optional(weeks), "times": times}
        rows.append(row)
    return rows


def _planned(accounts: Accounts) -> Floats:
    """Return the share of all budgets that is planned for each tick."""
    steps = np.diff(accounts.plan, axis=1, prepend=0.0)
    shares: Floats = (steps * accounts.daily[:, np.newaxis]).sum(axis=0) / max(accounts.daily.sum(), 1)
    return shares


def _sizes(market: Market, whole: Counted) -> list[Document]:
    """Return what fifths of the campaigns, by daily budget, gain when all users are treated; fewer than five: each."""
    order = np.argsort(np.argsort(market.accounts.daily, kind="stable"), kind="stable")
    fifth = order * SIZES // market.accounts.count
    sums = whole.campaigns.sum(axis=2).reshape(2, market.accounts.count, -1, len(MEASURES)).sum(axis=2)
    rows = []
    for size in np.unique(fifth).tolist():
        arms = sums[:, fifth == size].sum(axis=1)
        budget = market.accounts.daily[fifth == size].mean()
        with np.errstate(divide="ignore", invalid="ignore"):
            value = arms[1, VALUE] / arms[0, VALUE] - 1
        changed = _plain(changes(arms[0], arms[1], "expected"))
        kept = {name: changed[name] for name in ("ctr", "ecpc", "ecpm")}
        rows.append({"size": size + 1, "budget": float(budget) / 1e6, "value": optional(value), **kept})
    return rows


def _plain(values: Mapping[str, Floats]) -> dict[str, float | None]:
    return {name: optional(value) for name, value in values.items()}
