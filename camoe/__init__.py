"""Modality-aware multi-task ad ranking: the stream, the model, training, scoring and per-slot metrics.

`camoe.load(bundle).predict(table)` scores an Arrow table of impressions in this process, without Spark.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camoe.score.predictor import Predictor


def load(bundle: str | Path) -> Predictor:
    """Open the model bundle at `bundle` for scoring Arrow tables. Raises `BundleError` when it is not whole."""
    from camoe.score import predictor  # noqa: PLC0415 - every part of the package imports this file

    return predictor.load(Path(bundle))
