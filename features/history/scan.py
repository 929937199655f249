"""Running counts: what had been added to a key just before each probe of it. Arrays of one task's rows, without Spark.

Rows are ordered by `order`: twice the instant in microseconds, one more for what is known from that instant on, so that
a probe sees what lies strictly before it; one less for what counts from the beginning of a day on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

# Stands for no time, and for all numbers of a key set whose key is null.
NOTHING = -(2**63)
ROWS_A_BATCH = 20_000
Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Scan:
    """Running counts by (key, bucket). `windows`: their number; a row's `mask` says to which of them it adds."""

    counts: tuple[str, ...]
    times: tuple[str, ...]
    windows: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield `row`, `at`, `key_set` and `numbers` (each window's counts, then the times) of each probe."""
        given = list(batches)
        if not given:
            return
        table = pa.Table.from_batches(given)
        key, bucket, order = (_longs(table, name) for name in ("key", "bucket", "order"))
        sort = np.lexsort((order, bucket, key))
        key, bucket = key[sort], bucket[sort]
        begins = np.ones(len(sort), dtype=np.bool_)
        begins[1:] = (key[1:] != key[:-1]) | (bucket[1:] != bucket[:-1])
        # The position of the first row of each row's (key, bucket).
        first = np.flatnonzero(begins)[np.cumsum(begins) - 1]
        probed = table["row"].is_valid().to_numpy()[sort]
        asked = np.flatnonzero(probed)
        numbers = np.empty((len(asked), self.windows * len(self.counts) + len(self.times)), dtype=np.int64)
        mask = _longs(table, "mask")[sort]
        for place, name in enumerate(self.counts):
            added = _longs(table, name)[sort]
            for window in range(self.windows):
                sums = np.cumsum(np.where(mask >> window & 1, added, 0))
                before = np.where(first > 0, sums[first - 1], 0)
                numbers[:, window * len(self.counts) + place] = (sums - before)[asked]
        for place, name in enumerate(self.times):
            numbers[:, self.windows * len(self.counts) + place] = _latest(_longs(table, name)[sort], first)[asked]
        picked = sort[asked]
        at, which = order[picked] // 2, _longs(table, "key_set")[picked]
        yield from _batches(_longs(table, "row")[picked], at, numbers, pa.array(which, pa.int8()))


@dataclass(frozen=True)
class Wide:
    """All key sets' numbers of an impression in one row: `sets` of them, `width` numbers each."""

    sets: int
    width: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield `row`, `at` and `numbers` of each (row, at), which no key set may have twice."""
        given = list(batches)
        if not given:
            return
        table = pa.Table.from_batches(given)
        row, at, which = (_longs(table, name) for name in ("row", "at", "key_set"))
        sort = np.lexsort((which, at, row))
        row, at, which = row[sort], at[sort], which[sort]
        begins = np.ones(len(sort), dtype=np.bool_)
        begins[1:] = (row[1:] != row[:-1]) | (at[1:] != at[:-1])
        place = np.cumsum(begins) - 1
        if np.any(~begins[1:] & (which[1:] == which[:-1])):
            raise ValueError("two impressions of one time share the hash of their ids; rename one of them")
        numbers = np.full((int(begins.sum()), self.sets, self.width), NOTHING, dtype=np.int64)
        numbers[place, which] = _flat(table["numbers"]).reshape(-1, self.width)[sort]
        yield from _batches(row[begins], at[begins], numbers.reshape(len(numbers), -1))


def prefixes(rows: Sequence[tuple[int, ...]], counts: int, last: int) -> list[tuple[int, ...]]:
    """Return what came before each bucket up to `last` of the few keys that are cut into buckets.

    `rows` are (key_set, key, mask, bucket, counts ..., times ...), one a combination of the first four.
    """
    found: list[tuple[int, ...]] = []
    by_key: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    for row in rows:
        by_key.setdefault((row[0], row[1]), []).append(row)
    for of, own in by_key.items():
        added: dict[int, list[tuple[int, ...]]] = {}
        for row in own:
            added.setdefault(row[3], []).append(row)
        width = len(own[0]) - 4
        sums: dict[int, list[int]] = {}
        latest = [NOTHING] * (width - counts)
        for bucket in range(min(added), last + 1):
            # Every mask tells the last times of all, so that it does not matter which comes last.
            found += [(*of, mask, bucket, *total, *latest) for mask, total in sums.items()]
            for row in added.get(bucket, []):
                before = sums.get(row[2], [0] * counts)
                sums[row[2]] = [one + other for one, other in zip(before, row[4 : 4 + counts], strict=True)]
                latest = [max(one, other) for one, other in zip(latest, row[4 + counts :], strict=True)]
    return found


def _latest(times: Longs, first: Longs) -> Longs:
    """Return the greatest of `times` from each row's first one on up to itself; `NOTHING` where all are."""
    newest = np.maximum.accumulate(np.where(times != NOTHING, np.arange(len(times)), -1))
    # Times of one key grow with the order in which they become known, so the newest is the greatest.
    return np.where(newest >= first, times[np.maximum(newest, 0)], NOTHING)


def _batches(row: Longs, at: Longs, numbers: Longs, which: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
    width = numbers.shape[1]
    for start in range(0, len(row), ROWS_A_BATCH):
        part = slice(start, start + ROWS_A_BATCH)
        flat = pa.array(numbers[part].ravel())
        lists = pa.ListArray.from_arrays(pa.array(np.arange(len(row[part]) + 1, dtype=np.int32) * width), flat)
        columns = {"row": pa.array(row[part]), "at": pa.array(at[part])}
        if which is not None:
            columns["key_set"] = which[part]
        yield pa.RecordBatch.from_pydict({**columns, "numbers": lists})


def _longs(table: pa.Table, name: str) -> Longs:
    column = table[name].cast(pa.int64())
    found: Longs = column.fill_null(NOTHING if name.startswith("t_") else 0).to_numpy()
    return found


def _flat(lists: pa.ChunkedArray) -> Longs:
    found: Longs = np.concatenate([chunk.flatten().to_numpy() for chunk in lists.chunks])
    return found
