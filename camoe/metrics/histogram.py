"""The additive state of all metrics: a histogram over the logit, per bucket of users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camoe.contracts.errors import CamoeError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

BINS_PER_LOGIT = 400
# Probabilities are clipped for logit and log-loss: a certain and wrong prediction costs 27.6 nats, not infinity.
P_MIN = 1e-12
P_MAX = 1.0 - P_MIN
_STRIDE = 32_768  # more than the bins that lie between the logits of P_MIN and P_MAX
_OFFSET = _STRIDE // 2


class MetricError(CamoeError):
    """Predictions or labels that no metric can be computed from."""


_ENTRIES = ("bucket", "bin", "count", "positives", "p_sum", "log_loss")


@dataclass(frozen=True, eq=False)
class Bins:
    """Sums per logit bin, from the highest logit down; shape (..., bins), leading axes are resamples.

    `count` rows, `positives` of them, `p_sum` of predictions, `log_loss` summed in nats.
    """

    count: Floats
    positives: Floats
    p_sum: Floats
    log_loss: Floats


@dataclass(frozen=True, eq=False)
class Histogram:
    """Sums over rows, sparse: entry i is logit bin `bin[i]` of user bucket `bucket[i]`, of `buckets` buckets.

    Bin b holds logits from b/400 to (b+1)/400. `unknown` counts rows without a label, which no other field holds.
    States of disjoint rows add up: `a + b` is the state of all rows.
    """

    buckets: int
    bucket: Ints
    bin: Ints
    count: Ints
    positives: Ints
    p_sum: Floats
    log_loss: Floats
    unknown: int = 0

    @classmethod
    def empty(cls, buckets: int = 1) -> Histogram:
        """Return the state of no rows."""
        none = np.zeros(0, np.int64)
        return cls(buckets, none, none, none, none, np.zeros(0), np.zeros(0))

    @classmethod
    def from_rows(
        cls, p: npt.ArrayLike, y: npt.ArrayLike, bucket: npt.ArrayLike | None = None, buckets: int = 1
    ) -> Histogram:
        """Build the state of rows: prediction `p`, label `y` (0, 1, NaN = unknown) and user bucket, each `(rows,)`.

        Raises:
            MetricError: a prediction outside [0, 1] or NaN, a label that is not 0, 1 or NaN, a bucket out of range.
        """
        predicted = np.asarray(p, np.float64)
        label = np.asarray(y, np.float64)
        owner = np.zeros(predicted.shape, np.int64) if bucket is None else np.asarray(bucket, np.int64)
        _check(predicted, label, owner, buckets)
        known = ~np.isnan(label)
        predicted, label, owner = predicted[known], label[known], owner[known]
        clipped = np.clip(predicted, P_MIN, P_MAX)
        log_loss = -(label * np.log(clipped) + (1 - label) * np.log1p(-clipped))
        ones = np.ones(predicted.shape, np.int64)
        unknown = int(np.count_nonzero(~known))
        return cls(
            buckets, owner, logit_bin(clipped), ones, label.astype(np.int64), predicted, log_loss, unknown
        )._collapsed()

    def __add__(self, other: Histogram) -> Histogram:
        return merge((self, other), self.buckets)

    def bins(self) -> Bins:
        """Sum over all buckets, shape (bins,)."""
        occupied, column = np.unique(-self.bin, return_inverse=True)

        def total(values: npt.NDArray[np.generic]) -> Floats:
            return np.bincount(column, weights=values, minlength=len(occupied)).astype(np.float64)

        return Bins(total(self.count), total(self.positives), total(self.p_sum), total(self.log_loss))

    def weighted(self, weights: npt.ArrayLike) -> Bins:
        """Sum with each bucket counted `weights[r, bucket]` times, shape (resamples, bins)."""
        occupied, column = np.unique(-self.bin, return_inverse=True)
        factors = np.asarray(weights, np.float64)

        def spread(values: npt.NDArray[np.generic]) -> Floats:
            dense = np.zeros((self.buckets, len(occupied)))
            dense[self.bucket, column] = values
            summed: Floats = factors @ dense
            return summed

        return Bins(spread(self.count), spread(self.positives), spread(self.p_sum), spread(self.log_loss))

    def only(self, entries: npt.NDArray[np.bool_]) -> Histogram:
        """Return the state of the rows of some `entries`; it knows of no row without a label."""
        picked = {name: getattr(self, name)[entries] for name in _ENTRIES}
        return Histogram(buckets=self.buckets, **picked)

    @property
    def rows(self) -> int:
        """Evaluated rows, those with a label."""
        return int(self.count.sum())

    @property
    def clicks(self) -> int:
        """Evaluated rows whose label is 1."""
        return int(self.positives.sum())

    def _collapsed(self) -> Histogram:
        key, entry = np.unique(self.bucket * _STRIDE + self.bin + _OFFSET, return_inverse=True)

        def total(values: npt.NDArray[np.generic]) -> Floats:
            return np.bincount(entry, weights=values, minlength=len(key)).astype(np.float64)

        return Histogram(
            buckets=self.buckets,
            bucket=key // _STRIDE,
            bin=key % _STRIDE - _OFFSET,
            count=total(self.count).astype(np.int64),
            positives=total(self.positives).astype(np.int64),
            p_sum=total(self.p_sum),
            log_loss=total(self.log_loss),
            unknown=self.unknown,
        )


def logit_bin(clipped: Floats) -> Ints:
    """Return the bin of probabilities in [P_MIN, P_MAX]: floor(400 * logit)."""
    bins: Ints = np.floor(np.log(clipped / (1 - clipped)) * BINS_PER_LOGIT).astype(np.int64)
    return bins


def merge(states: Iterable[Histogram], buckets: int) -> Histogram:
    """Merge `states` into the state of all their rows; of no rows when there are none.

    Raises:
        MetricError: a state has another number of buckets.
    """
    parts = (Histogram.empty(buckets), *states)
    odd = sorted({part.buckets for part in parts} - {buckets})
    if odd:
        raise MetricError(f"a state of {odd[0]} user buckets cannot be added to one of {buckets}; use one number")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ENTRIES}
    return Histogram(buckets=buckets, unknown=sum(part.unknown for part in parts), **arrays)._collapsed()


def _check(p: Floats, y: Floats, bucket: Ints, buckets: int) -> None:
    if not p.shape == y.shape == bucket.shape or p.ndim != 1:
        raise MetricError(
            f"predictions, labels and buckets need one shape (rows,): {p.shape}, {y.shape}, {bucket.shape}"
        )
    if not np.all((p >= 0) & (p <= 1)):
        raise MetricError("predictions must be probabilities from 0 to 1; some are not, or NaN")
    if not np.all((y == 0) | (y == 1) | np.isnan(y)):
        raise MetricError("labels must be 0, 1 or NaN (unknown)")
    if not np.all((bucket >= 0) & (bucket < buckets)):
        raise MetricError(f"user buckets must lie from 0 to {buckets - 1}")
