"""What is kept by key, day and block: states, which are sums, and tails, which are last values."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from pyspark.sql import DataFrame

from features.history.blocks import Block
from features.history.events import added_up, additions, states
from features.history.keys import Layout
from features.history.tails import elements, joined_tails, tails


@dataclass(frozen=True)
class Kind:
    """A kind: what each event adds (`added`), what a day of them holds (`held`), and blocks of days (`joined`)."""

    name: str
    added: Callable[[DataFrame, Layout], DataFrame]
    held: Callable[[DataFrame, Layout, str, tuple[str, ...]], DataFrame]
    joined: Callable[[DataFrame, Collection[Block], Layout], DataFrame]

    def table(self, size: int) -> str:
        """Name the table of what single days hold, or blocks of `size` days."""
        return self.name if size == 1 else f"{self.name}_{size}"


STATES = Kind("states", additions, states, added_up)
# An element is that of one user, whatever its key.
TAILS = Kind("tails", elements, lambda rows, layout, zone, _: tails(rows, layout, zone), joined_tails)
KINDS = (STATES, TAILS)


def kinds_of(layout: Layout) -> tuple[Kind, ...]:
    """Return the kinds that the history needs."""
    return KINDS if layout.sequences else (STATES,)
