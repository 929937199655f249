"""A market from its tables: requests, candidates, campaigns, truth, and each model's predictions of the candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from camoe.contracts.errors import InputError
from camoe.contracts.files import is_whole, local_folder
from camoe.contracts.layout import Layout
from camoe.market.auction.accounts import Accounts, plan
from camoe.market.config import ORACLE, SLOT_RATE, Outcomes, Rules
from camoe.market.draws import Bools, Floats, Ints
from camoe.market.experiment.candidates import Ids, Offered, Small, ints, offered, pieces
from camoe.market.experiment.offers import Cells, Offer
from camoe.market.experiment.predictions import predictions
from camoe.market.experiment.run import Market
from camoe.market.experiment.stand_in import stand_in

DAY_S = 86_400
# What campaigns are ranked by, whatever they are for.
CLICK = "click"


@dataclass(frozen=True, eq=False)
class _Requests:
    """Requests in order of time, an entry each, their candidates, and what each model and the truth say of those.

    `slot_rate` is the mean true rate of the slot of each cell.
    """

    request: Ints
    user: Ints
    cell: Ints
    pod: Ints
    day: Ints
    tick: Ints
    offered: Offered
    truth: Small
    scores: Mapping[str, Small]
    slot_rate: Floats

    def offers(self) -> Iterator[Offer]:
        """Yield the ticks, also of the empty ones between the first and the last."""
        first, last = int(self.day[0]), int(self.day[-1])
        ticks = int(self.tick.max()) + 1
        place = (self.day - first) * ticks + self.tick
        ends = np.searchsorted(place, np.arange((last - first + 1) * ticks + 1))
        for number, (begin, end) in enumerate(pairwise(ends.tolist())):
            yield self._offer(slice(begin, end), first + number // ticks, number % ticks)

    def _offer(self, rows: slice, day: int, number: int) -> Offer:
        known, cell = self.offered.known(rows), self.cell[rows]
        told = {name: np.where(known, values[rows], 0.0).astype(np.float64) for name, values in self.scores.items()}
        truth = np.where(known, self.truth[rows], 0.0).astype(np.float64)
        return Offer(
            day=day,
            number=number,
            request=self.request[rows],
            user=self.user[rows],
            cell=cell,
            pod=self.pod[rows],
            candidate=self.offered.campaign[rows].astype(np.int64),
            scores=told | {ORACLE: truth, SLOT_RATE: np.where(known, self.slot_rate[cell][:, np.newaxis], 0.0)},
            truth=truth,
        )


def read_market(
    lake: Path,
    models: Mapping[str, Path],
    rules: Rules,
    outcomes: Outcomes | None = None,
    versions: Mapping[str, str] | None = None,
) -> tuple[Market, int]:
    """Read the market under `lake`, and the number of its days.

    `models` are by name the Delta tables of their predictions, `versions` which model's, of a table with several. Two
    are always there: `oracle` knows the truth, `slot_rate` the mean true rate of the slot alone. Requests are held in
    memory, candidates in temporary files of 4 bytes each for campaign, truth and each model, of which a tick at a time
    is read. A log that is replayed has no truth of its own: the predictions of `outcomes` stand for it.

    Raises:
        InputError: a table is missing, a model has not scored each candidate exactly once, a pod has more places than
            the rules know of, or the model of the outcomes learned from the market's days.
    """
    layout = Layout(lake)
    market = _market(layout)
    asked = _read(market / "requests").to_table().sort_by([("ts", "ascending"), ("request_id", "ascending")])
    _require_pods(asked, layout.market, rules)
    campaigns = _read(market / "campaigns").to_table().sort_by("campaign_id")
    request = ints(asked, "request_id")
    ids = campaigns["campaign_id"].combine_chunks()
    candidates = offered(_read(market / "candidates"), Ids(request), ids)
    if outcomes is None:
        truth, told = candidates.spread(_read(layout.market_truth), CLICK, "the truth"), ""
    else:
        told = stand_in(outcomes)
        with predictions(outcomes.predictions) as table:
            truth = _predicted(candidates, table, "the model of outcomes")
    cells, cell = _cells(asked)
    rows = _Requests(
        request=request,
        user=pc.rank(asked["user_id"], sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64) - 1,
        cell=cell,
        pod=ints(asked, "places"),
        day=ints(asked, "day"),
        tick=ints(asked, "second") * rules.ticks // DAY_S,
        offered=candidates,
        truth=truth,
        scores=_scores(candidates, models, versions or {}),
        slot_rate=_slot_rate(truth, candidates, cell, cells),
    )
    accounts = _accounts(campaigns, cells, cell, rows.tick, rules)
    return Market(accounts, rows.offers, cells, rules, told), len(np.unique(rows.day))


def _require_pods(asked: pa.Table, where: Path, rules: Rules) -> None:
    if not len(asked):
        raise InputError(f"{where} has no requests; make the market again")
    longest, known = pc.max(asked["places"]).as_py(), len(rules.exposure)
    if longest > known:
        raise InputError(f"{where} has pods of {longest} places, and rules.exposure is for {known}; add the others")


def _cells(asked: pa.Table) -> tuple[Cells, Ints]:
    """Return the cells, market by market, and that of each request."""
    pairs = asked.group_by(["slot", "queue"]).aggregate([])
    of_slot = dict(zip(pairs["slot"].to_pylist(), pairs["queue"].to_pylist(), strict=True))
    queues = dict(sorted(of_slot.items(), key=lambda pair: pair[::-1]))
    markets, slots = sorted(pc.unique(asked["market"]).to_pylist()), tuple(queues)
    cells = Cells(tuple(name for name in markets for _ in slots), slots * len(markets), queues)
    place = (
        pc.index_in(asked[name], pa.array(of)).to_numpy().astype(np.int64)
        for name, of in (("market", markets), ("slot", slots))
    )
    market, slot = place
    return cells, market * len(slots) + slot


def _slot_rate(truth: Small, candidates: Offered, cell: Ints, cells: Cells) -> Floats:
    """Return the mean true rate of the slot of each cell."""
    slot, sums = cells.numbered(cells.slot, cells.slots), np.zeros((2, len(cells.slots)))
    for rows in pieces(len(cell)):
        known = candidates.known(rows)
        clicks = np.where(known, truth[rows], 0.0).sum(axis=1, dtype=np.float64)
        for place, values in enumerate((clicks, known.sum(axis=1))):
            sums[place] += np.bincount(slot[cell[rows]], values, len(cells.slots))
    rates: Floats = (sums[0] / np.maximum(sums[1], 1))[slot]
    return rates


def _accounts(campaigns: pa.Table, cells: Cells, cell: Ints, tick: Ints, rules: Rules) -> Accounts:
    """Return the campaigns as accounts; their plan follows the traffic of all days together."""
    targets = _targets(campaigns, cells)
    traffic = np.bincount(cell * rules.ticks + tick, minlength=len(cells.slot) * rules.ticks)
    return Accounts(
        campaign=np.arange(len(campaigns)),
        bid=campaigns["bid"].to_numpy().astype(np.float64),
        for_clicks=np.array(campaigns["for_clicks"].to_pylist(), dtype=bool),
        daily=ints(campaigns, "daily"),
        total=ints(campaigns, "total"),
        first_day=ints(campaigns, "first_day"),
        last_day=ints(campaigns, "last_day"),
        cap=ints(campaigns, "cap"),
        targets=targets,
        plan=plan(targets, traffic.reshape(len(cells.slot), rules.ticks).astype(np.float64)),
    )


def _targets(campaigns: pa.Table, cells: Cells) -> Bools:
    markets = [set(names) for names in campaigns["markets"].to_pylist()]
    formats = campaigns["format"].to_pylist()
    queue = np.array([cells.queue[slot] for slot in cells.slot])
    fits = np.array([(queue == form) | (form == "both") for form in formats])
    found: Bools = np.array([[name in own for name in cells.market] for own in markets]) & fits
    return found


def _scores(candidates: Offered, models: Mapping[str, Path], versions: Mapping[str, str]) -> dict[str, Small]:
    found = {}
    for name, path in models.items():
        with predictions(path, versions.get(name), name) as table:
            found[name] = _predicted(candidates, table, f"model {name}")
    return found


def _predicted(candidates: Offered, table: ds.Dataset, what: str) -> Small:
    return candidates.spread(table, "p", what, ds.field("objective") == CLICK)


def _market(layout: Layout) -> Path:
    """Return the folder of the market's tables, a copy of which is made here where it lies in a store."""
    if not is_whole(layout.market):
        raise InputError(
            f"no market at {layout.market}; make a lake with one (jobs/make_lake.py --config conf/lake/market.yaml), "
            "or one of a log (jobs/replay.py)"
        )
    return local_folder(layout.market)


def _read(path: Path) -> ds.Dataset:
    if not path.exists():
        raise InputError(f"there is no {path}; make the market again")
    return ds.dataset(path)
