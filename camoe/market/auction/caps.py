"""Frequency caps: how often each user was shown each account today."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from camoe.market.draws import Bools, Ints

BEFORE = -1


@dataclass(frozen=True, eq=False)
class Closed:
    """Pairs of user and account, as sorted `keys`, that are closed for the rows after `row` of the tick."""

    keys: Ints
    row: Ints

    def blocks(self, users: Ints, candidate: Ints, accounts: int) -> Bools:
        """Return which candidates, shape (R, C), are closed to their row's user."""
        blocked = np.zeros(candidate.shape, dtype=bool)
        if not len(self.keys):
            return blocked
        rows = np.flatnonzero(np.isin(users, np.unique(self.keys // accounts)))
        wanted = users[rows, np.newaxis] * accounts + candidate[rows]
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        blocked[rows] = (self.keys[place] == wanted) & (rows[:, np.newaxis] > self.row[place])
        return blocked


@dataclass(frozen=True, eq=False)
class Seen:
    """Sorted `keys` (user · accounts + account) of the pairs that met today, and their impressions."""

    keys: Ints
    counts: Ints

    def of(self, keys: Ints) -> Ints:
        """Return the impressions of each of `keys`."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, self.counts[place], 0)

    def plus(self, keys: Ints) -> Seen:
        """Count an impression more for each of `keys`."""
        if not len(keys):
            return self
        found, more = np.unique(keys, return_counts=True)
        both = np.concatenate([self.keys, found])
        # Merges two sorted runs, which a stable sort finds by itself.
        order = np.argsort(both, kind="stable")
        counts, both = np.concatenate([self.counts, more])[order], both[order]
        first = np.flatnonzero(np.concatenate([[True], both[1:] != both[:-1]]))
        return Seen(both[first], np.add.reduceat(counts, first))


NOT_SEEN = Seen(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def closed_before(seen: Seen, cap: Ints) -> Closed:
    """Return the pairs that have reached the cap of their account."""
    keys = seen.keys[seen.counts >= cap[seen.keys % len(cap)]]
    return Closed(keys, np.full(len(keys), BEFORE))


def closed_within(seen: Seen, keys: Ints, rows: Ints, cap: Ints) -> Closed:
    """Return the pairs that reach their cap by impressions of `keys` in `rows`, both in order of time."""
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    first = np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]])[: len(keys)]
    started = np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    reached = seen.of(sorted_keys) + np.arange(len(keys)) - started + 1 == cap[sorted_keys % len(cap)]
    return Closed(sorted_keys[reached], rows[order][reached])
