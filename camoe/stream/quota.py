"""How many of a sequence's first m rows belong to each part, in proportion to the parts' rows: a closed form.

The parts are the leaves of a binary tree. At each inner node the first m rows give `floor(m * left / rows + 1/2)` to
the left child and what is left to the right one. Both never fall when m grows, so the counts can be asked for at any m
without a look at what came before. A leaf is off its exact share by at most half a row for each node above it, shrunk
by the ratio of their sizes: `bound`. Huffman's tree keeps the sum small: it is below 1.7 rows for any number of parts.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Fork(NamedTuple):
    """Node `node` of `rows` rows, of which `left_rows` belong to node `left` and the others to node `right`."""

    node: int
    left: int
    right: int
    left_rows: int
    rows: int


@dataclass(frozen=True)
class Quota:
    """A tree over `parts` leaves; its forks from the root down, its leaves in the order in which they were given."""

    parts: int
    rows: int
    forks: tuple[Fork, ...]

    def __call__(self, first: int) -> list[int]:
        """How many of the first `first` rows belong to each part; `first` lies between 0 and `rows`."""
        counts = [first] * (2 * self.parts - 1)
        for node, left, right, left_rows, rows in self.forks:
            above = counts[node]
            counts[left] = given = (2 * above * left_rows + rows) // (2 * rows)
            counts[right] = above - given
        return counts[: self.parts]

    def bound(self) -> float:
        """The most rows by which a count can be off the part's exact share."""
        off = [0.0] * (2 * self.parts - 1)
        for fork in self.forks:
            off[fork.left] = 0.5 + off[fork.node] * fork.left_rows / fork.rows
            off[fork.right] = 0.5 + off[fork.node] * (1 - fork.left_rows / fork.rows)
        return max(off[: self.parts])


def make_quota(rows: Sequence[int]) -> Quota:
    """The quota of parts with `rows` rows each; at least one part, none empty."""
    heap = [(size, part) for part, size in enumerate(rows)]
    heapq.heapify(heap)
    forks: list[Fork] = []
    while len(heap) > 1:
        (right_rows, right), (left_rows, left) = heapq.heappop(heap), heapq.heappop(heap)
        node = len(rows) + len(forks)
        forks.append(Fork(node, left, right, left_rows, left_rows + right_rows))
        heapq.heappush(heap, (left_rows + right_rows, node))
    return Quota(len(rows), sum(rows), tuple(reversed(forks)))
