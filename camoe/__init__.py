"""Modality-aware multi-task ad ranking: the stream, the model, training, scoring and per-slot metrics.

`camoe.load(bundle).predict(table)` scores an Arrow table of impressions in this process, without Spark.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from camoe.score.predictor import Predictor


def load(bundle: str | Path) -> Predictor:
    """The model bundle at `bundle`, ready to score Arrow tables. Raises `BundleError` when it is not whole.

    What scoring needs is imported here, because every part of the package imports this file.
    """
    predictor: Predictor = import_module("camoe.score.predictor").load(Path(bundle))
    return predictor
