"""Modality-aware multi-task ad ranking: the stream, the model, training, scoring and per-slot metrics.

`camoe.load(bundle).predict(table)` scores a table of impressions in this process, without Spark: of Arrow, pandas or
polars. `camoe.read_days(table, days)` reads days of a training table as Arrow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date

    import pyarrow as pa

    from camoe.score.predictor import Predictor


def load(bundle: str | Path) -> Predictor:
    """Open the model bundle at `bundle` for scoring Arrow tables. Raises `BundleError` when it is not whole."""
    from camoe.score import predictor  # noqa: PLC0415 - every part of the package imports this file

    return predictor.load(Path(bundle))


def read_days(table: str | Path, days: Collection[date | str], version: int | None = None) -> pa.Table:
    """Read days of the training `table`, as `camoe.score.frames.read_days` does."""
    from camoe.score import frames  # noqa: PLC0415 - every part of the package imports this file

    return frames.read_days(table, days, version)
