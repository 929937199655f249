"""The bins of `camoe.metrics.histogram` and `camoe.metrics.state`, as Spark computes them."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F

from camoe.metrics.histogram import BINS_PER_LOGIT, P_MAX, P_MIN
from camoe.metrics.state import STRIDE


def clipped(p: Column) -> Column:
    """Return `p` within the bounds that bins have."""
    return F.greatest(F.lit(P_MIN), F.least(F.lit(P_MAX), p))


def narrow_bin(p: Column) -> Column:
    """Return the bin of each probability, which is `clipped`."""
    return F.floor(F.log(p / (1 - p)) * BINS_PER_LOGIT)


def wide_bin(narrow: Column) -> Column:
    """Return the lowest narrow bin of the wide one that `narrow` lies in."""
    return F.floor(narrow / STRIDE) * STRIDE
