"""Memory for row groups that is used again: fresh pages cost more than the copying into them."""

from __future__ import annotations

import numpy as np

from camoe.stream.columns import Words


class Buffers:
    """Record buffers of up to `rows` rows of `words` words, for one thread to take and to give back.

    That thread should live on from epoch to epoch: what it frees, the allocator can give to it again.
    """

    def __init__(self, rows: int, words: int) -> None:
        self._shape = (rows, words)
        self._free: list[Words] = []

    def take(self, rows: int) -> Words:
        """A buffer of `rows` rows with any content."""
        whole = self._free.pop() if self._free else np.empty(self._shape, dtype=np.int32)
        return whole[:rows]

    def give(self, records: Words) -> None:
        """Return what `take` gave; nobody may look at it any more."""
        if records.base is not None:
            self._free.append(records.base)
