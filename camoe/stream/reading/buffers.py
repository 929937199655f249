"""Memory for row groups that is used again: fresh pages cost more than the copying into them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camoe.stream.reading.columns import WORD, Words

CACHE_LINE = 64


class Buffers:
    """Buffers of words, for one thread to take and to give back; made once, they serve stream after stream."""

    def __init__(self) -> None:
        self._free: list[Words] = []

    def take(self, size: int) -> Words:
        """Take `size` words or more, with any content. A free buffer that is too small goes for good."""
        while self._free:
            found = self._free.pop()
            if len(found) >= size:
                return found
        return np.empty(size, dtype=np.int32)

    def give(self, part: Words) -> None:
        """Return a buffer, or the whole one of which `part` is a view; nobody may look at it any more."""
        self._free.append(part if part.base is None else part.base)


@dataclass(frozen=True)
class Room:
    """Room of a buffer: a row group of up to `rows` rows of `words` words, row by row or column by column."""

    rows: int
    words: int

    @property
    def size(self) -> int:
        """Words of the buffer."""
        return self.words * self._column

    def records(self, buffer: Words, rows: int) -> Words:
        """View `buffer` as `[rows, words]`."""
        return buffer[: rows * self.words].reshape(rows, self.words)

    def columns(self, buffer: Words, rows: int) -> Words:
        """View `buffer` as `[words, rows]`."""
        return buffer[: self.size].reshape(self.words, self._column)[:, :rows]

    @property
    def _column(self) -> int:
        # Columns lie an odd number of cache lines apart, so a row's words do not all want one place in the cache.
        lines = -(-self.rows * WORD // CACHE_LINE) | 1
        return lines * CACHE_LINE // WORD
