"""Columns of a file as its first rows show them: types, distinct values, and whether they look like a time."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from camoe.contracts.errors import InputError, error_text

SAMPLED_ROWS = 50_000
# Texts of which each has to be a time in ISO form, for their column to hold times.
TRIED = 1_000
# Units of whole numbers since 1970, by how many a second has, and Spark's function for each.
UNITS = {1: "timestamp_seconds", 1_000: "timestamp_millis", 1_000_000: "timestamp_micros"}
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC).timestamp(), datetime(2100, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Sample:
    """The first rows of the file at `path`, and how it is read: its format and the options of Spark's reader.

    `here` is the file, or a copy of one in an object store.
    """

    path: Path
    rows: pa.Table
    format: str
    here: Path

    @property
    def options(self) -> dict[str, str]:
        """Options of Spark's reader."""
        return {"header": "true"} if self.format == "csv" else {}

    def distinct(self, name: str) -> int:
        """Return how many values the column has here, null not among them; none of lists and records."""
        if self.is_nested(name):
            return 0
        return int(pc.count_distinct(self.rows[name]).as_py())

    def is_nested(self, name: str) -> bool:
        """Return whether the column holds lists or records."""
        return bool(pa.types.is_nested(self.rows[name].type))

    def is_unique(self, name: str) -> bool:
        """Return whether every row has a value of its own."""
        return bool(self.rows.num_rows > 1 and self.distinct(name) == self.rows.num_rows)

    def is_flag(self, name: str) -> bool:
        """Return whether the column holds 0 and 1, or true and false, and both."""
        kind = self.rows[name].type
        if not (pa.types.is_boolean(kind) or pa.types.is_integer(kind)):
            return False
        values = set(pc.unique(self.rows[name]).to_pylist()) - {None}
        return bool(values == {0, 1})

    def is_number(self, name: str) -> bool:
        """Return whether the column holds numbers."""
        kind = self.rows[name].type
        return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))

    def values(self, name: str) -> list[str]:
        """Return the values of the column as text, in order, null not among them."""
        return sorted({str(value) for value in pc.unique(self.rows[name]).to_pylist() if value is not None})

    def time_sql(self, name: str) -> str | None:
        """Return the Spark SQL of the time in the column; None where it holds none."""
        kind, column = self.rows[name].type, sql_name(name)
        if pa.types.is_timestamp(kind):
            return column if self.format == "parquet" else f"try_cast({column} as timestamp)"
        if pa.types.is_date(kind):
            return f"try_cast({column} as timestamp)"
        if pa.types.is_string(kind):
            told = [value for value in self.rows[name].slice(0, TRIED).to_pylist() if value is not None]
            return f"try_cast({column} as timestamp)" if told and all(map(_is_time, told)) else None
        if pa.types.is_integer(kind) and self.rows[name].null_count < self.rows.num_rows:
            least, most = (pc.min_max(self.rows[name])[end].as_py() for end in ("min", "max"))
            unit = next((unit for unit in UNITS if least / unit >= FIRST and most / unit <= LAST), None)
            return None if unit is None else f"{UNITS[unit]}(cast({column} as bigint))"
        return None

    def days(self, name: str, zone: str) -> tuple[str, str]:
        """Return the first and the last day of the time in the column of the whole file, in `zone`."""
        ends = [end for batch in self._batches(name) for end in pc.min_max(batch).as_py().values() if end is not None]
        moments = [_moment(end) for end in (min(ends), max(ends))]
        first, last = (moment.astimezone(ZoneInfo(zone)).date().isoformat() for moment in moments)
        return first, last

    def _batches(self, name: str) -> Iterator[pa.Array]:
        if self.format == "json":
            yield from (table[name] for table in _records(self.here) if name in table.column_names)
        elif self.format == "parquet":
            yield from (batch.column(0) for batch in pq.ParquetFile(self.here).iter_batches(columns=[name]))
        else:
            options = pc_csv.ConvertOptions(include_columns=[name])
            yield from (batch.column(0) for batch in pc_csv.open_csv(self.here, convert_options=options))


def _is_time(text: str) -> bool:
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _moment(value: date | int | str) -> datetime:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(12), UTC)
    return datetime.fromtimestamp(value / next(unit for unit in UNITS if FIRST <= value / unit <= LAST), UTC)


def read_sample(path: Path, copy: Path | None = None) -> Sample:
    """Return the first rows of a parquet file, a CSV with a header, or a file with a JSON record a line.

    Read is its `copy`, where one is given.

    Raises:
        InputError: it is neither, cannot be read, or has no rows.
    """
    here = copy or path
    try:
        if path.suffix == ".parquet":
            batches = pq.ParquetFile(here).iter_batches(batch_size=SAMPLED_ROWS)
            rows, kind = pa.Table.from_batches([next(batches)]), "parquet"
        elif path.suffix in {".csv", ".tsv"} or path.name.endswith(".csv.gz"):
            rows, kind = pa.Table.from_batches([next(iter(pc_csv.open_csv(here)))]).slice(0, SAMPLED_ROWS), "csv"
        elif path.suffix in {".json", ".jsonl", ".ndjson"}:
            rows, kind = next(_records(here)), "json"
        else:
            raise InputError(
                f"{path} ends in neither .parquet, .csv nor .json; write its configuration by docs/your-data.md"
            )
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"cannot read {path}: {error_text(error)}") from None
    except StopIteration:
        raise InputError(f"{path} has no rows") from None
    return Sample(path, rows, kind, here)


def _records(path: Path) -> Iterator[pa.Table]:
    """Yield the records of a file of JSON lines, so many at a time."""
    with path.open("rb") as stream:
        while lines := list(islice(stream, SAMPLED_ROWS)):
            yield pa_json.read_json(io.BytesIO(b"".join(lines)))


def sql_name(column: str) -> str:
    """Return the column as SQL names it: in backticks where it is no plain word."""
    return column if re.fullmatch(r"[A-Za-z_]\w*", column) else "`{}`".format(column.replace("`", "``"))
