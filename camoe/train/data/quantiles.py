"""Exact quantiles of columns that no worker holds whole, by counting digits from the left (radix selection)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from camoe.model.layers.scaling import KNOTS, LARGEST, Knots

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]

# A float32 is read as three digits; a pass over the values counts the next digit of each sought value.
DIGITS = (11, 11, 10)


def fit_knots(
    batches: Callable[[], Iterator[Sequence[Floats]]], columns: int, add: Callable[[Tensor, str], Tensor]
) -> tuple[Knots, ...]:
    """Find each column's knots: the values of ranks `k (n - 1) // 63`, k = 0 ... 63, each distinct one once.

    `batches` starts a pass over this worker's part of the rows: known values, one array a column. `add` gives the sum
    of all workers' tensors under a name. Three passes; the workers add up integer counts, so the result is exact and
    the same for any number of workers and order of rows.
    """
    sought = [_Sought() for _ in range(columns)]
    if not columns:
        return ()
    for digit, bits in enumerate(DIGITS):
        remaining = sum(DIGITS[digit + 1 :])
        width = max(len(one.prefixes) for one in sought)
        counts = np.zeros((columns, width, 2**bits), dtype=np.int64)
        for batch in batches():
            for index, values in enumerate(batch):
                sought[index].count(_codes(values) >> remaining, bits, counts[index])
        total = add(torch.from_numpy(counts), f"quantile_digit_{digit}").numpy()
        for index, one in enumerate(sought):
            one.descend(total[index], bits)
    return tuple(one.knots() for one in sought)


class _Sought:
    """The sought values of one column: their leading digits so far, distinct and rising, and each rank's place."""

    def __init__(self) -> None:
        self.rows = 0
        self.prefixes: Codes = np.zeros(1, dtype=np.int64)
        self._place = np.zeros(KNOTS, dtype=np.int64)
        self._ranks = np.zeros(KNOTS, dtype=np.int64)
        self._below = np.zeros(1, dtype=np.int64)
        self._equal = np.zeros(1, dtype=np.int64)

    def count(self, leading: Codes, bits: int, counts: Counts) -> None:
        """Add to `counts[prefix, digit]` the values whose digits before the last `bits` are a sought prefix."""
        before = leading >> bits
        place = np.minimum(np.searchsorted(self.prefixes, before), len(self.prefixes) - 1)
        match = self.prefixes[place] == before
        flat = (place[match] << bits) + (leading[match] & (2**bits - 1))
        counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)

    def descend(self, counts: Counts, bits: int) -> None:
        """Fix the next digit of every sought value from the counts of all workers."""
        if not self.rows:
            self.rows = int(counts.sum())
            self._ranks = np.arange(KNOTS) * max(self.rows - 1, 0) // (KNOTS - 1)
        upto = self._below[:, None] + np.cumsum(counts[: len(self.prefixes)], axis=1)
        found = [np.searchsorted(upto[at], rank, "right") for at, rank in zip(self._place, self._ranks, strict=True)]
        digits = np.minimum(found, 2**bits - 1)
        equal = counts[self._place, digits]
        below = upto[self._place, digits] - equal
        codes = (self.prefixes[self._place] << bits) + digits
        self.prefixes, first, self._place = np.unique(codes, return_index=True, return_inverse=True)
        self._below, self._equal = below[first], equal[first]

    def knots(self) -> Knots:
        """Return the distinct values and the shares of values below them, ties counted half."""
        if not self.rows:
            return Knots((), ())
        shares = (self._below + self._equal / 2) / self.rows
        return Knots(tuple(_values(self.prefixes).tolist()), tuple(shares.tolist()))


def _codes(values: Floats) -> Codes:
    """Return integers of 32 bits in the order of the values; both zeros are one."""
    limit = np.float32(LARGEST)
    bits = (np.clip(values, -limit, limit) + np.float32(0)).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits + 2**31), bits) + 2**31


def _values(codes: Codes) -> Floats:
    """Return the values of `_codes`."""
    signed = codes - 2**31
    return np.where(signed < 0, -signed - 2**31, signed).astype(np.int32).view(np.float32)
