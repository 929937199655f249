"""Predictions of candidates, as the scoring job writes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds

from camoe.contracts.errors import InputError
from camoe.contracts.places.commits import table_at
from camoe.contracts.places.nearby import nearby
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import location_of

VERSION = "partition.model_version"


@contextmanager
def predictions(path: Path, version: str | None = None, name: str = "NAME") -> Iterator[ds.Dataset]:
    """Yield the rows of the table at `path` without the columns that its folders name, of one model `version`.

    Raises:
        InputError: there is no table, or it is empty; or no `version` is given, by `versions.<name>`, where the table
            has several, or one that it has not.
    """
    by_version = defaultdict[str, list[Path]](list)
    for file in _files(path):
        by_version[str(file.get(VERSION))].append(path / unquote(str(file["path"])))
    there = ", ".join(sorted(by_version))
    if version is None and len(by_version) > 1:
        raise InputError(f"{path} has predictions of the models {there}; say which is meant by versions.{name}=")
    if version is not None and version not in by_version:
        raise InputError(
            f"{path} has predictions of the models {there}, and none of {version}, which versions.{name} names"
        )
    with nearby(by_version[version or there]) as files:
        yield ds.dataset(files, format="parquet")


def models_and_days(path: Path) -> tuple[set[str], set[str]]:
    """Return the versions of the models that predicted, and the days predicted. Raises as `predictions` does."""
    files = _files(path)
    models, days = ({str(file[f"partition.{name}"]) for file in files} for name in ("model_version", "date"))
    return models, days


def _files(path: Path) -> list[dict[str, object]]:
    there = is_delta_table(path)
    found = pa.table(table_at(location_of(path)).get_add_actions(flatten=True)).to_pylist() if there else []
    if not found:
        raise InputError(f"no predictions at {path}; score the market's candidates first (jobs/score.py --input)")
    return found
