"""This worker's place among all workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeVar

from camoe.stream.planning.quota import Counts

RowsT = TypeVar("RowsT", int, Counts)


@dataclass(frozen=True)
class World:
    """Place of a worker: `rank` of `size` workers."""

    rank: int
    size: int

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank {self.rank} does not lie in a world of {self.size}")

    @classmethod
    def launched(cls) -> World:
        """Return the place that Horovod's launcher gives this process before the workers meet; 0 of 1 without one."""
        return cls(int(os.environ.get("HOROVOD_RANK", "0")), int(os.environ.get("HOROVOD_SIZE", "1")))

    def share(self, rows: RowsT) -> tuple[RowsT, RowsT]:
        """Return the first (included) and last (excluded) of `rows` consecutive rows that belong to this worker.

        An array of numbers of rows gives arrays.
        """
        return self.rank * rows // self.size, (self.rank + 1) * rows // self.size
