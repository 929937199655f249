"""Memory for row groups that is used again: fresh pages cost more than the copying into them."""

from __future__ import annotations

import numpy as np

from camoe.stream.columns import WORD, Words

CACHE_LINE = 64


class Buffers:
    """Buffers of `words` columns of up to `rows` rows, for one thread to take and to give back.

    That thread should live on from epoch to epoch: what it frees, the allocator can give to it again.
    """

    def __init__(self, words: int, rows: int) -> None:
        # Columns lie an odd number of cache lines apart, so a row's words do not all want the same place in the cache.
        lines = -(-rows * WORD // CACHE_LINE) | 1
        self._shape = (words, lines * CACHE_LINE // WORD)
        self._free: list[Words] = []

    def take(self, rows: int) -> Words:
        """A buffer `[words, rows]` with any content."""
        whole = self._free.pop() if self._free else np.empty(self._shape, dtype=np.int32)
        return whole[:, :rows]

    def give(self, words: Words) -> None:
        """Return what `take` gave; nobody may look at it any more."""
        if words.base is not None:
            self._free.append(words.base)
