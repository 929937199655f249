"""Predictions of candidates, as the scoring job writes them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable

from camoe.contracts.errors import InputError


def predictions(path: Path) -> ds.Dataset:
    """Return the rows of the table at `path` without the columns that its folders name.

    Raises:
        InputError: there is no table, or it is empty.
    """
    files = [str(path / unquote(str(file["path"]))) for file in _files(path)]
    return ds.dataset(files, format="parquet")


def models_and_days(path: Path) -> tuple[set[str], set[str]]:
    """Return the versions of the models that predicted, and the days predicted. Raises as `predictions` does."""
    files = _files(path)
    models, days = ({str(file[f"partition.{name}"]) for file in files} for name in ("model_version", "date"))
    return models, days


def _files(path: Path) -> list[dict[str, object]]:
    there = (path / "_delta_log").exists()
    found = pa.table(DeltaTable(str(path)).get_add_actions(flatten=True)).to_pylist() if there else []
    if not found:
        raise InputError(f"no predictions at {path}; score the market's candidates first (jobs/score.py --input)")
    return found
