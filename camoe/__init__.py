"""Modality-aware multi-task ad ranking: the stream, the model, training, scoring and per-slot metrics.

`camoe.load(bundle).predict(table)` scores a table of impressions in this process, without Spark: of Arrow, pandas or
polars. `camoe.read_days(table, days)` reads days of a training table as Arrow. `camoe.load_torch(bundle)` gives the
model as a PyTorch module. Bundles and tables are local, or lie at `s3://bucket/path`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date
    from pathlib import Path

    import pyarrow as pa

    from camoe.model.ensemble import Model
    from camoe.score.predictor import Predictor


def load(bundle: str | Path) -> Predictor:
    """Open the model bundle at `bundle` for scoring Arrow tables.

    What `s3://bucket/path` serves is copied first, once for each bundle (`camoe.bundle.published.fetched`).

    Raises:
        BundleError: it is not whole.
        PlaceError: the object store does not give it.
    """
    from camoe.bundle.published import fetched  # noqa: PLC0415 - every part of the package imports this file
    from camoe.score import predictor  # noqa: PLC0415

    return predictor.load(fetched(bundle))


def load_torch(bundle: str | Path) -> Model:
    """Return the model of `bundle` as a PyTorch module, on the CPU and in eval mode: to look into, or to learn on.

    `model.logits(categorical, numeric, sequences)` maps indices `[B, C]`, raw numerics `[B, F]` (NaN where missing) and
    packed sequences `[B, S]` to the logits `[B, H]` of all heads, before calibration. It needs torch.

    Raises:
        BundleError: it is not whole.
        PlaceError: the object store does not give it.
    """
    from camoe.bundle.manifest import open_bundle  # noqa: PLC0415 - every part of the package imports this file
    from camoe.bundle.model import read_module  # noqa: PLC0415 - it loads torch
    from camoe.bundle.published import fetched  # noqa: PLC0415

    return read_module(open_bundle(fetched(bundle)))


def read_days(table: str | Path, days: Collection[date | str], version: int | None = None) -> pa.Table:
    """Read days of the training `table`, as `camoe.score.frames.read_days` does."""
    from camoe.score import frames  # noqa: PLC0415 - every part of the package imports this file

    return frames.read_days(table, days, version)
