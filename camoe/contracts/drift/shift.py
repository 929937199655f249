"""The population stability index, and the cells that it is taken over."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log

# The usual marks: below 0.1 no shift to speak of, from 0.25 on a large one (Siddiqi, Credit Risk Scorecards, 2006).
MODERATE = 0.1
LARGE = 0.25
# A numeric's cells hold about this many equal parts of the reference rows.
NUMERIC_CELLS = 10


def psi(reference: Sequence[int], later: Sequence[int]) -> float | None:
    """Return `sum_i (q_i - p_i) ln(q_i / p_i)` over cells, p the shares of reference rows and q those of later ones.

    The population stability index (Siddiqi 2006), which is Jeffreys' divergence of the two distributions. Half a row
    is added to each cell, so that an empty one counts as rare and not as impossible. None when one side has no row.
    """
    if not sum(reference) or not sum(later):
        return None
    p, q = _shares(reference), _shares(later)
    return sum((after - before) * log(after / before) for before, after in zip(p, q, strict=True))


def noise(reference: Sequence[int], later: Sequence[int]) -> float | None:
    """Return the index expected without any shift: `(cells - 1) (1 / n + 1 / m)`, n and m the rows of either side.

    Cells that are empty on both sides are left out. Source: Yurdakul, Statistical properties of the population
    stability index (2018). None when one side has no row.
    """
    n, m = sum(reference), sum(later)
    if not n or not m:
        return None
    cells = sum(1 for pair in zip(reference, later, strict=True) if any(pair))
    return (cells - 1) * (1 / n + 1 / m)


def numeric_cells(reference: Mapping[int, int]) -> tuple[int, ...]:
    """Return the first bins of a numeric's cells: bins in order, each cell filled up to a tenth of the reference rows.

    A bin of a later day belongs to the last cell that begins at or below it, the lowest ones to the first.
    """
    aim = sum(reference.values()) / NUMERIC_CELLS
    starts: list[int] = []
    filled = 0.0
    for number in sorted(reference):
        if not starts or filled >= aim:
            starts.append(number)
            filled = 0.0
        filled += reference[number]
    return tuple(starts)


def in_cells(bins: Mapping[int, int], starts: Sequence[int]) -> Counter[str]:
    """Count the rows of each cell of `numeric_cells`, by the cell's position."""
    counted: Counter[str] = Counter()
    for number, rows in bins.items():
        counted[str(max(bisect_right(starts, number) - 1, 0))] += rows
    return counted


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / total for count in counts]
