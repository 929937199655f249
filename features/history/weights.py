"""Weights of smoothing, fitted: by rate the one of the least log loss on the training days."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import NO_WEIGHTS, EncoderError
from camoe.contracts.schema import label_column
from features.history.events import row_of
from features.history.keys import Layout
from features.history.lookup import NUMBERS
from features.history.scan import NOTHING
from features.history.smoothing import LEAST, cells_of, rate_name, rate_names
from features.spark.progress import job_of, step

# Weights to choose from, in impressions.
GRID = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
# Numbers of rows that are looked at, all of a row together; 160 MB. The weights are few.
NUMBERS_TO_FIT = 20_000_000
Floats = NDArray[np.float64]


def smoothing_weights(folder: Path, rows: DataFrame, training: Collection[date], layout: Layout) -> dict[str, float]:
    """Return the weight of each rate: the declared one, the one that the encoder in `folder` keeps, or one fitted.

    Those are fitted on the `rows` of the `training` days.

    Raises:
        EncoderError: weights are to be fitted, and there is no training day.
    """
    names, declared = rate_names(layout), layout.history.smoothing
    if declared != "fitted":
        return dict.fromkeys(names, float(declared))
    kept = encoders.latest_weights(folder)
    if set(names) <= kept.keys():
        return {name: kept[name] for name in names}
    if not training:
        raise EncoderError(
            f"the encoder at {folder} has no smoothing weights of the history, and none of the run's days is a "
            "training day to fit them on; build training days first"
        )
    to_fit = rows.where(F.col("date").isin(list(training)))
    context = rows.sparkSession.sparkContext
    with step(context, f"{job_of(context)}: fitting the history's smoothing"):
        return fit_weights(to_fit, to_fit.count(), layout, kept)


def fit_weights(
    rows: DataFrame, count: int, layout: Layout, kept: Mapping[str, float] = NO_WEIGHTS
) -> dict[str, float]:
    """Return of each rate's feature the weight of `GRID` that has the least log loss on `rows`, `count` training rows.

    Each label is that of the rate's objective. Parents are fitted first; a rate without a parent needs no weight, and
    those that are `kept` stay.
    """
    history = layout.history
    numbers, labels = _collected(rows, count, layout)
    weights: dict[str, float] = {}
    rates: dict[tuple[str, str, int], Floats] = {}
    for name in history.parents_first:
        parent = history.parent_of(name)
        for of, at in cells_of(layout):
            positive, known = (numbers[:, layout.place_of_count(name, f"{kind}_{of}", at)] for kind in "pn")
            towards = None if parent is None else rates[parent, of, at]
            feature = rate_name(layout, name, of, at)
            weight = kept.get(feature, 0.0 if towards is None else _best(positive, known, towards, labels[of]))
            rates[name, of, at] = smoothed(positive, known, towards, weight)
            weights[feature] = weight
    return weights


def smoothed(positive: Floats, known: Floats, towards: Floats | None, weight: float) -> Floats:
    """Return `[N]`: (p + w q) / (n + w), p / n without a `towards`; NaN where the key is null or nothing is known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = np.where(known > 0, positive / known, np.nan)
        if towards is None:
            return plain
        drawn: Floats = np.where(np.isnan(towards), plain, (positive + weight * towards) / (known + weight))
        return drawn


def _best(positive: Floats, known: Floats, towards: Floats, label: Floats) -> float:
    losses = {weight: _log_loss(smoothed(positive, known, towards, weight), label) for weight in GRID}
    # Where they are alike, as without any row, the larger one.
    return min(GRID, key=lambda weight: (round(losses[weight], 9), -weight))


def _log_loss(rate: Floats, label: Floats) -> float:
    told = ~(np.isnan(rate) | np.isnan(label))
    if not told.any():
        return 0.0
    inside = np.clip(rate[told], LEAST, 1 - LEAST)
    return float(-np.log(np.where(label[told] == 1, inside, 1 - inside)).mean())


def _collected(rows: DataFrame, count: int, layout: Layout) -> tuple[Floats, dict[str, Floats]]:
    """Return the numbers `[N, all key sets']`, NaN where there is none, and the labels `[N]` of some of the rows."""
    width = layout.width * len(layout.history.keys)
    step = max(1, -(-count * width // NUMBERS_TO_FIT))
    some = rows.where(F.pmod(row_of(), F.lit(step)) == 0)
    columns = {of: F.col(label_column(of)).cast("double").alias(of) for of in layout.history.objectives}
    table = some.select(F.col(NUMBERS), *columns.values()).toArrow()
    flat = pa.concat_arrays([chunk.flatten() for chunk in table[NUMBERS].chunks] or [pa.array([], pa.int64())])
    numbers = flat.to_numpy(zero_copy_only=False).reshape(-1, width).astype(np.float64)
    numbers[numbers == NOTHING] = np.nan
    return numbers, {of: table[of].to_numpy().astype(np.float64) for of in columns}
