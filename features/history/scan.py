"""Running counts: what had been added to a key just before each probe of it. Arrays of one task's rows, without Spark.

Rows are ordered by `order`: twice the instant in microseconds, one more for what is known from that instant on, so that
a probe sees what lies strictly before it; one less for what counts from the beginning of a day on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
        begins = _begins(key, bucket)
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
        begins = _begins(row, at)
        place = np.cumsum(begins) - 1
        if np.any(~begins[1:] & (which[1:] == which[:-1])):
            raise ValueError("two impressions of one time share the hash of their ids; rename one of them")
        numbers = np.full((int(begins.sum()), self.sets, self.width), NOTHING, dtype=np.int64)
        numbers[place, which] = _flat(table["numbers"]).reshape(-1, self.width)[sort]
        yield from _batches(row[begins], at[begins], numbers.reshape(len(numbers), -1))


@dataclass(frozen=True)
class Newest:
    """The last values of each (key, bucket) before a probe.

    `lengths`, and `lags` after which a value is known, are by sequence. A probe sees values that were known from its
    `since` on; ages are those at `delay` after its instant. All times are microseconds.
    """

    lengths: tuple[int, ...]
    lags: tuple[int, ...]
    delay: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield `row`, `at`, `key_set`, `found` (the newest last) and `ages` (log1p of seconds) of each probe."""
        given = list(batches)
        if not given:
            return
        table = pa.Table.from_batches(given)
        values = table["value"].cast(pa.large_string()).combine_chunks()
        key, bucket, which, order = (_longs(table, name) for name in ("key", "bucket", "key_set", "order"))
        sort = np.lexsort((_ranks(values), order, bucket, which, key))
        key, bucket, which, order = key[sort], bucket[sort], which[sort], order[sort]
        probed = table["row"].is_valid().to_numpy()[sort]
        begins = _begins(key, which, bucket)
        told = np.cumsum(~probed)
        # Of all that tell, the place of the first of the probe's own key, and the one behind the last before it.
        first = (told - ~probed)[np.flatnonzero(begins)[np.cumsum(begins) - 1]]
        # Its last one is of nothing, so that there is one.
        source, known = sort[~probed], np.append(order[~probed] // 2, 0)
        asked = np.flatnonzero(probed)
        row, since = _longs(table, "row")[sort], _longs(table, "since")[sort]
        for start in range(0, len(asked), ROWS_A_BATCH):
            part = asked[start : start + ROWS_A_BATCH]
            at, own, end = order[part] // 2, which[part], told[part]
            length = np.array(self.lengths)[own]
            place = end[:, None] - np.arange(int(length.max()), 0, -1)
            seen = place >= np.maximum(first[part], end - length)[:, None]
            seen &= known[np.maximum(place, 0)] >= since[part][:, None]
            picked, counts = place[seen], seen.sum(axis=1)
            shown = known[picked] - np.repeat(np.array(self.lags)[own], counts)
            ages = np.log1p((np.repeat(at, counts) + self.delay - shown) / 1e6).astype(np.float32)
            ends = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
            found = values.take(pa.array(source[picked])).cast(pa.string())
            yield pa.RecordBatch.from_pydict(
                {
                    "row": pa.array(row[part]),
                    "at": pa.array(at),
                    "key_set": pa.array(own, pa.int8()),
                    "found": pa.ListArray.from_arrays(ends, found),
                    "ages": pa.ListArray.from_arrays(ends, pa.array(ages)),
                }
            )


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


def carried(
    rows: Sequence[tuple[int, int, int, int, str]], longest: int, more: int
) -> list[tuple[int, int, int, int, str]]:
    """Return the last elements, `longest` at most, before each bucket of each key that is cut into some, as rows of it.

    `rows` are (key_set, key, bucket, order, value), the last ones of each bucket; buckets are those up to `more` after
    the last.
    """
    found: list[tuple[int, int, int, int, str]] = []
    by_key: dict[tuple[int, int], dict[int, list[tuple[int, str]]]] = {}
    for which, key, bucket, order, value in rows:
        by_key.setdefault((which, key), {}).setdefault(bucket, []).append((order, value))
    last = max((row[2] for row in rows), default=0) + more
    for (which, key), own in by_key.items():
        tail: list[tuple[int, str]] = []
        for bucket in range(min(own), last + 1):
            found += [(which, key, bucket, order, value) for order, value in tail]
            tail = sorted([*tail, *own.get(bucket, [])])[-longest:]
    return found


def _begins(*keys: Longs) -> NDArray[np.bool_]:
    """Return `[N]`: whether a row is the first of its keys, among sorted rows."""
    begins = np.ones(len(keys[0]), dtype=np.bool_)
    begins[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return begins


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


def _ranks(values: pa.LargeStringArray) -> Longs:
    """Return the place of each text among the different ones in their order; nulls have any."""
    coded = values.dictionary_encode()
    # One more, for nulls where there is nothing else.
    places: Longs = np.append(np.argsort(pc.sort_indices(coded.dictionary).to_numpy()), 0)
    ranks: Longs = places[coded.indices.fill_null(0).to_numpy()]
    return ranks


def _longs(table: pa.Table, name: str) -> Longs:
    column = table[name].cast(pa.int64())
    found: Longs = column.fill_null(NOTHING if name.startswith("t_") else 0).to_numpy()
    return found


def _flat(lists: pa.ChunkedArray) -> Longs:
    found: Longs = np.concatenate([chunk.flatten().to_numpy() for chunk in lists.chunks])
    return found
