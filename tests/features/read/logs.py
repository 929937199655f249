"""Small impression logs as files of each format."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.sources import Sources
from features.read.window import DayWindow

Rows = Iterable[Mapping[str, object]]
WINDOW = DayWindow("UTC", (date(2026, 1, 1),), datetime(2026, 1, 2, tzinfo=UTC))
SLOTS = SlotCatalogue.model_validate({"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]})
NAMES = ("id", "user", "campaign", "slot", "ts")
COLUMNS = dict(zip(("impression_id", "user_id", "campaign_id", "slot", "ts"), NAMES, strict=True))


def row(number: int, **changes: object) -> dict[str, object]:
    """Return a sound impression, with changes."""
    return {
        **dict(zip(NAMES, (f"i{number}", f"u{number}", "c", "feed", "2026-01-01 10:00:00"), strict=True)),
        **changes,
    }


def as_csv(rows: Rows, names: Sequence[str] = NAMES) -> bytes:
    """Return the rows as a CSV file with a header."""
    return ("\n".join([",".join(names), *[",".join(str(one[name]) for name in names) for one in rows]]) + "\n").encode()


def as_json(rows: Rows) -> bytes:
    """Return the rows as JSON lines."""
    return "".join(json.dumps(one) + "\n" for one in rows).encode()


def as_table(rows: Rows, names: Sequence[str] = NAMES) -> pa.Table:
    """Return the rows as an Arrow table."""
    return pa.table({name: pa.array([one[name] for one in rows]) for name in names})


def as_parquet(rows: Rows, names: Sequence[str] = NAMES) -> bytes:
    """Return the rows as a Parquet file."""
    return parquet_file(as_table(rows, names))


def parquet_file(table: pa.Table) -> bytes:
    """Return an Arrow table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def write_log(
    folder: Path,
    kind: str,
    files: Mapping[str, bytes | pa.Table],
    options: Mapping[str, str] | None = None,
    **impressions: object,
) -> Sources:
    """Write the log's files; returns the sources that read them, and the same files as the entity `user`.

    Of Delta the files are tables, appended to one another.
    """
    (folder / "log").mkdir()
    for name, content in files.items():
        if isinstance(content, bytes):
            (folder / "log" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "log" / name).write_bytes(content)
        else:
            write_deltalake(folder / "log", content, mode="append", schema_mode="merge")
    given = {"path": "log", "format": kind, "options": options or ({"header": "true"} if kind == "csv" else {})}
    return Sources.model_validate(
        {
            "impressions": {**given, "columns": COLUMNS, "labels": {"click": "0"}, **impressions},
            "entities": {"user": {**given, "key": "user_id", "columns": {"user_id": "user", "campaign": "campaign"}}},
            "objectives": {"click": {}},
        }
    )
