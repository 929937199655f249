"""Memory for row groups that is used again: fresh pages cost as much as the copying into them."""

from __future__ import annotations

from collections import deque

import numpy as np

from camoe.stream.columns import Words


class Buffers:
    """Record buffers of up to `rows` rows of `words` words. Reader threads take, the consumer gives back."""

    def __init__(self, rows: int, words: int) -> None:
        self._shape = (rows, words)
        # Appending to a deque and popping from it are atomic.
        self._free: deque[Words] = deque()

    def take(self, rows: int) -> Words:
        """A buffer of `rows` rows with any content."""
        try:
            whole = self._free.pop()
        except IndexError:
            whole = np.empty(self._shape, dtype=np.int32)
        return whole[:rows]

    def give(self, records: Words) -> None:
        """Return what `take` gave; nobody may look at it any more."""
        if records.base is not None:
            self._free.append(records.base)
