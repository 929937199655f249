"""A market from its tables: requests, candidates, campaigns, truth, and each model's predictions of the candidates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable

from camoe.contracts.errors import InputError
from camoe.contracts.layout import Layout
from camoe.market.auction.accounts import Accounts, plan
from camoe.market.auction.requests import NONE
from camoe.market.config import ORACLE, SLOT_RATE, Rules
from camoe.market.draws import Bools, Ints
from camoe.market.experiment.offers import Cells, Offer
from camoe.market.experiment.run import Market

DAY_S = 86_400
Small = npt.NDArray[np.float32]
KEYS = ("request_id", "campaign_id")


@dataclass(frozen=True, eq=False)
class _Requests:
    """Requests in order of time, an entry each, and the dense candidates, shape (R, C)."""

    request: Ints
    user: Ints
    cell: Ints
    pod: Ints
    day: Ints
    tick: Ints
    candidate: npt.NDArray[np.int32]
    truth: Small
    scores: Mapping[str, Small]

    def offers(self) -> Iterator[Offer]:
        """Yield the ticks, also of the empty ones between the first and the last."""
        first, last = int(self.day[0]), int(self.day[-1])
        ticks = int(self.tick.max()) + 1
        place = (self.day - first) * ticks + self.tick
        ends = np.searchsorted(place, np.arange((last - first + 1) * ticks + 1))
        for number, (begin, end) in enumerate(pairwise(ends.tolist())):
            rows = slice(begin, end)
            yield Offer(
                day=first + number // ticks,
                number=number % ticks,
                request=self.request[rows],
                user=self.user[rows],
                cell=self.cell[rows],
                pod=self.pod[rows],
                candidate=self.candidate[rows].astype(np.int64),
                scores={name: values[rows].astype(np.float64) for name, values in self.scores.items()},
                truth=self.truth[rows].astype(np.float64),
            )


def read_market(lake: Path, models: Mapping[str, Path], rules: Rules, objective: str = "click") -> tuple[Market, int]:
    """Read the synthetic market under `lake`, and the number of its days.

    `models` are by name the Delta tables of their predictions. Two are always there: `oracle` knows the truth,
    `slot_rate` the mean true rate of the slot alone. All is held in memory: 4 bytes a candidate for its campaign, its
    truth and each model.

    Raises:
        InputError: a table is missing, a model has not scored each candidate exactly once, or a pod has more places
            than the rules know of.
    """
    layout = Layout(lake)
    asked = _read(layout.market / "requests").sort_by([("ts", "ascending"), ("request_id", "ascending")])
    longest = pc.max(asked["places"]).as_py()
    if longest > len(rules.exposure):
        known = len(rules.exposure)
        raise InputError(
            f"{layout.market} has pods of {longest} places, and rules.exposure is for {known}; add the others"
        )
    campaigns = _read(layout.market / "campaigns").sort_by("campaign_id")
    offered, truth = _read(layout.market / "candidates"), _read(layout.market_truth)
    ids, request = _ints(campaigns, "campaign_id"), _ints(asked, "request_id")
    places = _places(offered, request, ids)
    shape = (len(request), int(places.column.max()) + 1)
    candidate = np.full(shape, NONE, dtype=np.int32)
    candidate[places.row, places.column] = places.campaign
    true = _dense(places, shape, truth, objective, "the truth")
    cells, cell = _cells(asked)
    scores = {
        name: _dense(places, shape, _predictions(path, objective), "p", f"model {name}")
        for name, path in models.items()
    }
    scores |= {ORACLE: true, SLOT_RATE: _slot_rate(true, candidate, cell, cells)}
    tick = _ints(asked, "second") * rules.ticks // DAY_S
    user = pc.rank(asked["user_id"], sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64) - 1
    rows = _Requests(request, user, cell, _ints(asked, "places"), _ints(asked, "day"), tick, candidate, true, scores)
    return Market(_accounts(campaigns, cells, cell, tick, rules), rows.offers, cells, rules), len(np.unique(rows.day))


@dataclass(frozen=True, eq=False)
class _Places:
    """Of each candidate its request's row, its column, its campaign's number, and the `key` of request and campaign."""

    row: Ints
    column: Ints
    campaign: Ints
    requests: Ints
    campaigns: Ints

    def keys(self, request: Ints, campaign: Ints) -> Ints:
        """Return a number for each pair, -1 for one that is unknown."""
        row, of = _found(self.requests, request), _found(self.campaigns, campaign)
        return np.where((row >= 0) & (of >= 0), row * len(self.campaigns) + of, -1)


def _places(offered: pa.Table, request: Ints, campaigns: Ints) -> _Places:
    row, campaign = _found(request, _ints(offered, "request_id")), _found(campaigns, _ints(offered, "campaign_id"))
    if (row < 0).any() or (campaign < 0).any():
        raise InputError("candidates name requests or campaigns that are not in the market; make the lake again")
    return _Places(row, _ints(offered, "rank"), campaign, request, campaigns)


def _dense(places: _Places, shape: tuple[int, int], values: pa.Table, column: str, what: str) -> Small:
    """Spread a column by (request_id, campaign_id) over the candidates; 0 where there is none."""
    own = places.row * len(places.campaigns) + places.campaign
    given = places.keys(_ints(values, "request_id"), _ints(values, "campaign_id"))
    order = np.argsort(given, kind="stable")
    place = np.minimum(np.searchsorted(given[order], own), max(len(given) - 1, 0))
    known = given[order][place] == own if len(given) else np.zeros(len(own), dtype=bool)
    if len(given) != len(own) or not known.all():
        raise InputError(
            f"{what} has {len(given):,} rows for the {len(own):,} candidates, and none for {int((~known).sum()):,} of "
            "them; score the market's candidates again (jobs/score.py --input), one model version a table"
        )
    dense = np.zeros(shape, dtype=np.float32)
    dense[places.row, places.column] = values[column].to_numpy()[order[place]]
    return dense


def _found(sorted_or_not: Ints, wanted: Ints) -> Ints:
    """Return the place of each of `wanted`, -1 where it is not there."""
    order = np.argsort(sorted_or_not, kind="stable")
    place = order[np.minimum(np.searchsorted(sorted_or_not[order], wanted), len(order) - 1)]
    return np.where(sorted_or_not[place] == wanted, place, -1)


def _cells(asked: pa.Table) -> tuple[Cells, Ints]:
    """Return the cells, market by market, and that of each request."""
    market, slot, queue = (asked[name].to_pylist() for name in ("market", "slot", "queue"))
    markets, queues = sorted(set(market)), dict(sorted(zip(slot, queue, strict=True), key=lambda pair: pair[::-1]))
    slots = tuple(queues)
    cells = Cells(tuple(name for name in markets for _ in slots), slots * len(markets), queues)
    numbers = {(name, of): place for place, (name, of) in enumerate(zip(cells.market, cells.slot, strict=True))}
    return cells, np.array([numbers[pair] for pair in zip(market, slot, strict=True)])


def _slot_rate(truth: Small, candidate: npt.NDArray[np.int32], cell: Ints, cells: Cells) -> Small:
    slot = cells.numbered(cells.slot, cells.slots)[cell]
    known = candidate != NONE
    clicks, rows = (np.bincount(slot, values.sum(axis=1), len(cells.slots)) for values in (truth * known, known))
    rates: Small = np.where(known, (clicks / np.maximum(rows, 1))[slot][:, np.newaxis], 0.0).astype(np.float32)
    return rates


def _accounts(campaigns: pa.Table, cells: Cells, cell: Ints, tick: Ints, rules: Rules) -> Accounts:
    """Return the campaigns as accounts; their plan follows the traffic of all days together."""
    targets = _targets(campaigns, cells)
    traffic = np.bincount(cell * rules.ticks + tick, minlength=len(cells.slot) * rules.ticks)
    return Accounts(
        campaign=np.arange(len(campaigns)),
        bid=campaigns["bid"].to_numpy().astype(np.float64),
        for_clicks=np.array(campaigns["for_clicks"].to_pylist(), dtype=bool),
        daily=_ints(campaigns, "daily"),
        total=_ints(campaigns, "total"),
        first_day=_ints(campaigns, "first_day"),
        last_day=_ints(campaigns, "last_day"),
        cap=_ints(campaigns, "cap"),
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


def _predictions(path: Path, objective: str) -> pa.Table:
    if not (path / "_delta_log").exists():
        raise InputError(f"no predictions at {path}; score the market's candidates first (jobs/score.py --input)")
    table = DeltaTable(str(path)).to_pyarrow_dataset()
    return table.to_table(columns=[*KEYS, "p"], filter=ds.field("objective") == objective)


def _read(path: Path) -> pa.Table:
    if not path.exists():
        raise InputError(
            f"no market at {path}; make a lake with one (jobs/make_lake.py --config conf/lake/market.yaml)"
        )
    return ds.dataset(path).to_table()


def _ints(table: pa.Table, name: str) -> Ints:
    values: Ints = table[name].to_numpy().astype(np.int64)
    return values
