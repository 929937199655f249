"""Memory for row groups that is used again: fresh pages cost more than the copying into them."""

from __future__ import annotations

import numpy as np

from camoe.stream.columns import WORD, Words

CACHE_LINE = 64


class Buffers:
    """Record buffers of up to `rows` rows of `words` words, for one thread to take and to give back.

    That thread should live on from epoch to epoch: what it frees, the allocator can give to it again.
    """

    def __init__(self, rows: int, words: int) -> None:
        self._shape = (rows, words)
        self._free: list[Words] = []

    def take(self, rows: int) -> Words:
        """A buffer `[rows, words]` with any content."""
        whole = self._free.pop() if self._free else np.empty(self._shape, dtype=np.int32)
        return whole[:rows]

    def give(self, records: Words) -> None:
        """Return what `take` gave; nobody may look at it any more."""
        if records.base is not None:
            self._free.append(records.base)


class Scratch:
    """One buffer of columns, for one thread to write each row group into."""

    def __init__(self) -> None:
        self._whole = np.empty((0, 0), dtype=np.int32)

    def columns(self, words: int, rows: int) -> Words:
        """`[words, rows]` with any content; what was given before may be written over."""
        if self._whole.shape[0] != words or self._whole.shape[1] < rows:
            # Columns lie an odd number of cache lines apart, so a row's words do not all want one place in the cache.
            lines = -(-rows * WORD // CACHE_LINE) | 1
            self._whole = np.empty((words, lines * CACHE_LINE // WORD), dtype=np.int32)
        return self._whole[:, :rows]
