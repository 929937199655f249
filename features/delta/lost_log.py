"""A training table whose log is gone: its files look like those of a run that was killed before the first commit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from camoe.contracts.layout import Layout
from camoe.contracts.places.store import open_place
from camoe.contracts.runs import RunError
from camoe.contracts.schema import RUN_ID
from camoe.contracts.storage import is_remote
from features.delta.log import LOG, data_file_of, data_files, has_delta_log


def require_log(layout: Layout) -> None:
    """Raise `RunError` where the training table has files and no log, and there is a sign that it had versions.

    There is none when a run was killed before the first commit: the next run may move those files out of the way, or
    leave them where they lie in an object store.
    """
    table = layout.table
    written = _objects(str(table)) if is_remote(str(table)) else _written(Path(table))
    told = _lost_message(layout, written) if written else ""
    if told:
        raise RunError(
            f"{table} has {len(written):,} data files and no {LOG}, and it had versions once: {told}; restore {LOG}, "
            "or move the folder away to build all days again; nothing was changed"
        )


def _written(table: Path) -> dict[Path | str, float]:
    """Return when each data file was written, in seconds since 1970; none where there is a log."""
    files = [] if has_delta_log(table) else [path for path in data_files(table) if path == data_file_of(path)]
    return {path: path.stat().st_mtime for path in files}


def _objects(address: str) -> dict[Path | str, float]:
    listed = open_place(address).listed()
    if any(one.name.startswith(f"{LOG}/") for one in listed):
        return {}
    return {one.name: one.written.timestamp() for one in listed if one.name.endswith(".parquet")}


def _lost_message(layout: Layout, written: Mapping[Path | str, float]) -> str:
    """Return the sign that the files were committed; empty when there is none.

    A report, bundle or predictions made from a table are younger than its oldest file; older ones may come from a table
    that somebody has taken away since.
    """
    oldest = min(written.values())
    for made in (layout.feature_report, layout.bundle, layout.predictions):
        if made.exists() and made.stat().st_mtime > oldest:
            return f"{made} was made from them"
    # A run moves away the files of one that was killed before the first commit, so these never come from two runs.
    first: str | None = None
    for run in filter(None, (_run_of(path) for path in written if isinstance(path, Path))):
        first = first or run
        if run != first:
            return f"they come from several runs ({first}, {run})"
    return ""


def _run_of(path: Path) -> str | None:
    """Return the run that wrote a data file; None where the file does not say, as when it was cut off."""
    try:
        with pq.ParquetFile(path) as file:
            batch = next(file.iter_batches(1, columns=[RUN_ID]), None)
    except (OSError, ValueError):
        return None
    return batch.column(0)[0].as_py() if batch is not None and batch.num_columns else None
