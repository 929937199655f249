"""A row group in memory, in the order of its delivery, and the batches that are cut from such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camoe.stream.columns import Block, Columns, Words


@dataclass(frozen=True)
class RowGroup:
    """The rows of a row group in the order of their delivery: `records` `[rows, words]`, `keys` `[rows]` each.

    Records, so that one copy moves a row with all its columns.
    """

    records: Words
    keys: tuple[npt.NDArray[np.generic], ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.records)


def assemble(columns: Columns, parts: Sequence[tuple[RowGroup, int, int]]) -> Block:
    """One batch from rows `[start, stop)` of each part, in order; without parts a batch without rows.

    A worker gets that when a batch has fewer rows than there are workers.
    """
    records = np.empty((sum(stop - start for _, start, stop in parts), columns.words), dtype=np.int32)
    at = 0
    for group, start, stop in parts:
        records[at : at + stop - start] = group.records[start:stop]
        at += stop - start
    keys = tuple(
        np.concatenate([group.keys[index][start:stop] for group, start, stop in parts])
        if parts
        else np.empty(0, dtype=object)
        for index in range(len(columns.keys))
    )
    return Block(columns, records, keys)
