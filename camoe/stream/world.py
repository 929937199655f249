"""Which of the workers this one is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class World:
    """`rank` of `size` workers."""

    rank: int
    size: int

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.size:
            raise ValueError(f"rank {self.rank} does not lie in a world of {self.size}")

    def share(self, rows: int) -> tuple[int, int]:
        """First (included) and last (excluded) of `rows` consecutive rows that belong to this worker."""
        return self.rank * rows // self.size, (self.rank + 1) * rows // self.size
