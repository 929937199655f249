"""Closed forms for the rows of each part among a sequence's first m, in proportion to the parts' rows.

A count at any m needs no earlier count; the counts add up to m, and at the end hold all of the parts' rows.

A tree: at each inner node the first m rows give `floor(m * left / rows + 1/2)` to the left child and what is left to
the right one. Neither ever falls when m grows. A leaf is off its exact share by at most half a row for each node above
it, shrunk by the ratio of their sizes. Huffman's tree keeps the sum small: below 1.7 rows for any number of parts.

A line: the parts lie side by side, part i from `E_{i-1}` to `E_i`, and has `round(m E_i / R) - round(m E_{i-1} / R)` of
the first m of R rows, so it is off by less than one row. It may fall by one where m grows by less than `R / rows_i`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

# Up to here the double product of two counts is a 64-bit integer.
EXACT_ROWS = 1 << 30


class Quota(Protocol):
    """Shares of a sequence of `rows` rows."""

    @property
    def parts(self) -> int:
        """Number of parts."""

    @property
    def rows(self) -> int:
        """Rows of all parts."""

    def __call__(self, first: Counts) -> Counts:
        """Return how many of the first `first` rows belong to each part: `[parts, *shape]` for `first` `[*shape]`.

        `first` lies between 0 and `rows`.
        """

    def bound(self) -> float:
        """Return the most rows by which a count can be off the part's exact share."""


class Fork(NamedTuple):
    """Node `node` of `rows` rows, of which `left_rows` belong to node `left` and the others to node `right`."""

    node: int
    left: int
    right: int
    left_rows: int
    rows: int


@dataclass(frozen=True)
class Tree:
    """A tree over `parts` leaves; its forks from the root down, its leaves in the order in which they were given."""

    parts: int
    rows: int
    forks: tuple[Fork, ...]

    def __call__(self, first: Counts) -> Counts:
        """Return what `Quota` does."""
        counts = [_exact(first, self.rows)] * (2 * self.parts - 1)
        for node, left, right, left_rows, rows in self.forks:
            above = counts[node]
            counts[left] = given = (2 * above * left_rows + rows) // (2 * rows)
            counts[right] = above - given
        leaves: Counts = np.stack(counts[: self.parts]).astype(np.int64)
        return leaves

    def bound(self) -> float:
        """Return what `Quota` does."""
        off = [0.0] * (2 * self.parts - 1)
        for fork in self.forks:
            off[fork.left] = 0.5 + off[fork.node] * fork.left_rows / fork.rows
            off[fork.right] = 0.5 + off[fork.node] * (1 - fork.left_rows / fork.rows)
        return max(off[: self.parts])


@dataclass(frozen=True)
class QuotaLine:
    """Parts side by side; `ends` are the running sums of their rows."""

    ends: tuple[int, ...]

    @property
    def parts(self) -> int:
        """The same as of `Quota`."""
        return len(self.ends)

    @property
    def rows(self) -> int:
        """The same as of `Quota`."""
        return self.ends[-1]

    def __call__(self, first: Counts) -> Counts:
        """Return what `Quota` does."""
        rows = _exact(first, self.rows)
        marks = np.stack([(2 * rows * end + self.rows) // (2 * self.rows) for end in (0, *self.ends)])
        counts: Counts = np.diff(marks, axis=0).astype(np.int64)
        return counts

    def bound(self) -> float:
        """Return the bound of `Quota`: two roundings of half a row each."""
        return 1.0


def make_quota(rows: Sequence[int], stride: int = 1) -> Quota:
    """Return the quota of parts with `rows` rows each; at least one part, none empty.

    Its counts do not fall between moments that are at least `stride` rows apart, nor from any moment to the end. It is
    the form of the smaller bound that keeps this.
    """
    tree, total = _tree(rows), sum(rows)
    if tree.bound() > 1 and stride * min(rows) >= total:
        return QuotaLine(tuple(accumulate(rows)))
    return tree


def _exact(first: Counts, rows: int) -> npt.NDArray[Any]:
    """Return `first` in a type exact in the double product with `rows`: Python's integers for large ones."""
    return np.asarray(first, dtype=np.int64 if rows < EXACT_ROWS else object)


def _tree(rows: Sequence[int]) -> Tree:
    heap = [(size, part) for part, size in enumerate(rows)]
    heapq.heapify(heap)
    forks: list[Fork] = []
    while len(heap) > 1:
        (right_rows, right), (left_rows, left) = heapq.heappop(heap), heapq.heappop(heap)
        node = len(rows) + len(forks)
        forks.append(Fork(node, left, right, left_rows, left_rows + right_rows))
        heapq.heappush(heap, (left_rows + right_rows, node))
    return Tree(len(rows), sum(rows), tuple(reversed(forks)))
