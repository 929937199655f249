"""The metrics that get intervals and differences, and what is better of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from camoe.metrics.calibration import expected_calibration_error, normalised_entropy, pcoc
from camoe.metrics.histogram import Bins, Floats
from camoe.metrics.ranking import average_precision, average_precision_lift, ratio, roc_auc

Metric = Callable[[Bins], Floats]


@dataclass(frozen=True)
class Measure:
    """`of` takes sums of shape (..., bins) to metrics of shape (...). `best`: the highest value, the lowest, or one.

    One that is `binned` needs the order of the rows, which sums alone do not hold.
    """

    of: Metric
    best: Literal["highest", "lowest", "one"]
    binned: bool = True

    def error(self, value: Floats) -> Floats:
        """Return what is lower the better `value` is: a rate that is best at one counts by its distance in logs."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.abs(np.log(value)) if self.best == "one" else value
        return found if self.best != "highest" else -found


def measures(ece_bins: int) -> Mapping[str, Measure]:
    """Return the measures by name; `ece` is over `ece_bins` bins of equal mass."""
    return {
        "ctr": Measure(_click_rate, "highest", binned=False),
        "auc_pr": Measure(average_precision, "highest"),
        "auc_pr_lift": Measure(average_precision_lift, "highest"),
        "roc_auc": Measure(roc_auc, "highest"),
        "ne": Measure(normalised_entropy, "lowest", binned=False),
        "ece": Measure(partial(expected_calibration_error, number=ece_bins), "lowest"),
        "pcoc": Measure(pcoc, "one", binned=False),
    }


def _click_rate(bins: Bins) -> Floats:
    return ratio(bins.positives.sum(axis=-1), bins.count.sum(axis=-1))
