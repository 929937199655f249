"""What the log of a Delta table says of files that were written, and of a table that is made."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, RemoveAction


@dataclass(frozen=True)
class Part:
    """A data file that was written to the table, and is not committed yet; `stats` as the log has them."""

    path: str
    size: int
    stats: Mapping[str, object]
    partition: Mapping[str, str | None]

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Part:
        """Return the one that `text` tells of."""
        return cls(**json.loads(text))


def name_of(version: int) -> str:
    """Return the name of the entry of `version` within its table."""
    return f"_delta_log/{version:020}.json"


def told_by(entry: bytes) -> Mapping[str, Any]:
    """Return what an entry tells of its commit."""
    found = (json.loads(line).get("commitInfo") for line in entry.splitlines() if line.strip())
    return next((info for info in found if info), {})


def first_entry(schema: pa.Schema, partitions: Collection[str], properties: Mapping[str, str]) -> bytes:
    """Return the entry that makes a table, also with properties that delta-rs does not know."""
    made = _metadata(str(uuid4()), Schema.from_arrow(schema), partitions, properties, _now())
    protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
    return _entry("CREATE TABLE", {"protocol": protocol, "metaData": made})


def entry_with(delta: DeltaTable, properties: Mapping[str, str], schema: Schema | None = None) -> bytes:
    """Return the entry that gives a table these `properties` beside, or in the place of, those that it has.

    With a `schema` its columns are those of that.
    """
    known, columns = delta.metadata(), schema or delta.schema()
    all_of_them = {**known.configuration, **properties}
    made = _metadata(str(known.id), columns, known.partition_columns, all_of_them, known.created_time)
    return _entry("SET TBLPROPERTIES", {"metaData": made})


def _metadata(
    name: str, schema: Schema, partitions: Collection[str], properties: Mapping[str, str], created: int
) -> dict[str, object]:
    return {
        "id": name,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_json(),
        "partitionColumns": [*partitions],
        "configuration": dict(properties),
        "createdTime": created,
    }


def _entry(operation: str, actions: Mapping[str, object]) -> bytes:
    info = {"timestamp": _now(), "operation": operation, "operationParameters": {}}
    lines = {"commitInfo": info, **actions}
    return "".join(json.dumps({name: action}) + "\n" for name, action in lines.items()).encode()


def _now() -> int:
    return time.time_ns() // 1_000_000


def stats_of(rows: pa.Table, told: Collection[str]) -> dict[str, object]:
    """Return the number of rows, and the least and greatest value of the whole numbers and of the columns `told`."""
    whole = [field.name for field in rows.schema if pa.types.is_integer(field.type) or field.name in told]
    found = {name: pc.min_max(rows[name]).as_py() for name in whole}
    return {
        "numRecords": rows.num_rows,
        "minValues": {name: value["min"] for name, value in found.items()},
        "maxValues": {name: value["max"] for name, value in found.items()},
    }


def actions_of(
    parts: Iterable[Part], replaced: Mapping[str, dict[str, str | None]], *, changed: bool = True
) -> list[AddAction | RemoveAction]:
    """Return the actions that add the files `parts` and remove those `replaced`; rows are `changed`, or the same."""
    now = _now()
    return [
        *(RemoveAction(path, changed, now, None, partition) for path, partition in replaced.items()),
        *(AddAction(part.path, part.size, part.partition, now, changed, json.dumps(part.stats)) for part in parts),
    ]
