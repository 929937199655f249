"""What is kept of a group of rows: bins of full width over all users, and wider ones by bucket of users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from camoe.metrics.histogram import BINS_PER_LOGIT, Histogram, Ints, merge

# Full-width bins by bucket would be nearly one a row. A wider bin holds p within 5 %.
WIDE_BINS_PER_LOGIT = 20
STRIDE = BINS_PER_LOGIT // WIDE_BINS_PER_LOGIT


@dataclass(frozen=True, eq=False)
class State:
    """Sums of one group's rows, which add up over disjoint rows.

    `bins` has logit bins 1/400 wide and no buckets: metrics and their bounds come from it. `users` has bins 1/20 wide
    by bucket of users: its resamples tell how sure a metric is. A wide bin bears the number of its lowest narrow one.
    Without `bins` only sums are kept, each bucket in one bin: enough for rates, NE and PCOC.
    """

    bins: Histogram | None
    users: Histogram

    @classmethod
    def of(cls, full: Histogram) -> State:
        """Return the state of the rows of `full`, narrow bins by bucket of users."""
        alone = replace(full, buckets=1, bucket=np.zeros_like(full.bucket))
        return cls(merge([alone], 1), merge([replace(full, bin=wide_bin(full.bin))], full.buckets))

    @classmethod
    def empty(cls, buckets: int) -> State:
        """Return the state of no rows."""
        return cls.of(Histogram.empty(buckets))

    @property
    def whole(self) -> Histogram:
        """The sums that metrics of all rows come from."""
        return self.users if self.bins is None else self.bins

    @property
    def occupied(self) -> int:
        """Buckets of users that have rows."""
        return len(np.unique(self.users.bucket))


def wide_bin(narrow: Ints) -> Ints:
    """Return the wide bin that holds each narrow one, by the number of its lowest."""
    return narrow // STRIDE * STRIDE


def add_states(states: Iterable[State]) -> State:
    """Add up at least one state, of disjoint rows; sums alone are left where one of them has no bins.

    Raises:
        MetricError: one has another number of user buckets.
    """
    parts = tuple(states)
    bins = [part.bins for part in parts if part.bins is not None]
    users = merge([part.users for part in parts], parts[0].users.buckets)
    return State(merge(bins, 1) if len(bins) == len(parts) else None, users)
