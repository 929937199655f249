"""Candidates of requests, one row a request, in files of a moment: memory holds what is being read, not all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from camoe.contracts.errors import InputError
from camoe.market.auction.requests import NONE
from camoe.market.draws import Bools, Ints

KEYS = ("request_id", "campaign_id")
# Rows of a table that are in memory at once, and requests that are looked through at once.
BATCH = 65_536
Small = npt.NDArray[np.float32]


class Ids:
    """Whole numbers as ids, each numbered by its place."""

    def __init__(self, ids: Ints) -> None:
        self._order = np.argsort(ids, kind="stable")
        self._sorted = ids[self._order]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._order)

    def numbers(self, wanted: Ints) -> Ints:
        """Return the place of each of `wanted`, -1 where it is not there."""
        if not len(self):
            return np.full(len(wanted), -1)
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self) - 1)
        return np.where(self._sorted[place] == wanted, self._order[place], -1)


@dataclass(frozen=True, eq=False)
class Offered:
    """The `campaign` of each request and place, shape (R, C), `NONE` where there is none; of `count` candidates.

    `requests` numbers requests, `campaigns` are the ids of campaigns in order.
    """

    requests: Ids
    campaigns: pa.Array
    campaign: npt.NDArray[np.int32]
    count: int

    def known(self, rows: slice) -> Bools:
        """Return where the requests of `rows` have candidates."""
        found: Bools = self.campaign[rows] != NONE
        return found

    def spread(self, table: ds.Dataset, column: str, what: str, where: pc.Expression | None = None) -> Small:
        """Return a column of a table by (request_id, campaign_id), spread over the candidates; NaN elsewhere.

        Raises:
            InputError: it does not have each candidate exactly once.
        """
        values, given = _in_file(self.campaign.shape, np.float32, np.nan), 0
        for batch in batches(table, (*KEYS, column), where):
            given += len(batch)
            row, campaign = self.requests.numbers(ints(batch, KEYS[0])), _places(batch[KEYS[1]], self.campaigns)
            there = (row >= 0) & (campaign >= 0)
            fits = (self.campaign[row] == campaign.astype(np.int32)[:, np.newaxis]) & there[:, np.newaxis]
            own = fits.any(axis=1)
            values[row[own], fits.argmax(axis=1)[own]] = batch[column].to_numpy(zero_copy_only=False)[own]
        missing = sum(int((self.known(rows) & np.isnan(values[rows])).sum()) for rows in pieces(len(values)))
        if given != self.count or missing:
            raise InputError(
                f"{what} has {given:,} rows for the {self.count:,} candidates, and none for {missing:,} of them; score "
                "the market's candidates again (jobs/score.py --input)"
            )
        return values


def offered(table: ds.Dataset, requests: Ids, campaigns: pa.Array) -> Offered:
    """Read which campaigns are the candidates of each request.

    Raises:
        InputError: there are none, they name a request or campaign that is not there, or two have one place.
    """
    ranks = (pc.max(batch["rank"]).as_py() for batch in batches(table, ("rank",)))
    places = max((rank + 1 for rank in ranks if rank is not None), default=0)
    if not places:
        raise InputError("the market has no candidates; make it again")
    found, count = _in_file((len(requests), places), np.int32, NONE), 0
    for batch in batches(table, (*KEYS, "rank")):
        row, campaign = requests.numbers(ints(batch, KEYS[0])), _places(batch[KEYS[1]], campaigns)
        if (row < 0).any() or (campaign < 0).any():
            raise InputError("candidates name requests or campaigns that are not in the market; make it again")
        found[row, ints(batch, "rank")] = campaign
        count += len(batch)
    made = Offered(requests, campaigns, found, count)
    if sum(int(made.known(rows).sum()) for rows in pieces(len(found))) != count:
        raise InputError("two candidates of a request have one rank; make the market again")
    return made


def batches(
    table: ds.Dataset, columns: tuple[str, ...], where: pc.Expression | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the rows in batches of `BATCH` at most, without reading far ahead."""
    ahead = {"batch_readahead": 1, "fragment_readahead": 1}
    found: Iterable[pa.RecordBatch] = table.to_batches(columns=list(columns), filter=where, batch_size=BATCH, **ahead)
    return (batch for batch in found if len(batch))


def pieces(rows: int) -> Iterator[slice]:
    """Yield slices of `BATCH` rows at most."""
    return (slice(begin, begin + BATCH) for begin in range(0, rows, BATCH))


def ints(table: pa.Table | pa.RecordBatch, name: str) -> Ints:
    """Return a column of whole numbers."""
    return _numbers(pc.cast(table[name], pa.int64()))


def _places(values: pa.Array, of: pa.Array) -> Ints:
    """Return the place of each value, -1 where it is not there."""
    return _numbers(pc.fill_null(pc.index_in(pc.cast(values, of.type), of), -1))


def _numbers(column: pa.Array | pa.ChunkedArray) -> Ints:
    # A chunked column is always copied; an array asks to be told so.
    copied = {} if isinstance(column, pa.ChunkedArray) else {"zero_copy_only": False}
    values: Ints = column.to_numpy(**copied).astype(np.int64)
    return values


def _in_file(shape: tuple[int, ...], kind: type[np.generic], fill: float) -> npt.NDArray[Any]:
    """Return an array in a temporary file without a name, which is gone with it; TMPDIR says where."""
    with TemporaryFile() as file:
        made = np.memmap(file, kind, "w+", shape=shape)
    for rows in pieces(len(made)):
        made[rows] = fill
    return made
