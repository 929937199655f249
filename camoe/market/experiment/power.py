"""What an experiment can see: the smallest effect, and how long a wanted one takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from camoe.market.draws import Floats
from camoe.market.experiment.significance import influence


@dataclass(frozen=True)
class Power:
    """Standard error to expect of a log ratio, the smallest relative effect seen, and the `times` a wanted one needs.

    So many times the days or, in as many days, the users.
    """

    error: float
    smallest: float
    times: float


def foreseen(
    sums: Floats, rate: str, outcome: str, *, share: float, level: float, power: float, wanted: float
) -> Power:
    """Foresee the power of a split of users from a market without one: sums of shape (bucket of users, measure).

    With arms of `share` and the rest, over the days that the sums are of. An effect is seen with probability `power`
    by a two-sided test at `level`; errors shrink with the root of the days. `wanted` is a relative effect.
    """
    buckets = len(sums)
    whole = np.sqrt((influence(sums, rate, outcome) ** 2).sum() * buckets / (buckets - 1))
    error = float(whole * np.sqrt(1 / share + 1 / (1 - share)))
    distance = float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)) * error
    return Power(error, float(np.expm1(distance)), float((distance / np.log1p(wanted)) ** 2))
