"""A row group in memory, in the order of its delivery, and the batches that are cut from such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from camoe.stream.reading.columns import WORD, Block, Columns, Words


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

    @cached_property
    def memory(self) -> memoryview:
        """Return the bytes of `records`."""
        return self.records.data.cast("B")


def assemble(columns: Columns, parts: Sequence[tuple[RowGroup, int, int]]) -> Block:
    """Assemble one batch from rows `[start, stop)` of each part, in order; without parts a batch without rows.

    A worker gets that when a batch has fewer rows than there are workers.
    """
    records = np.empty((sum(stop - start for _, start, stop in parts), columns.words), dtype=np.int32)
    # Not through numpy, which lets go of the interpreter for each of these short copies and waits to get it back.
    memory, width, at = records.reshape(-1).data.cast("B"), WORD * columns.words, 0
    for group, start, stop in parts:
        size = width * (stop - start)
        memory[at : at + size] = group.memory[width * start : width * stop]
        at += size
    keys = tuple(
        np.concatenate([group.keys[index][start:stop] for group, start, stop in parts])
        if parts
        else np.empty(0, dtype=object)
        for index in range(len(columns.keys))
    )
    return Block(columns, records, keys)
