"""Data files of a Delta table, on a disk or in an object store, and the commit that makes them count.

Spark's writer of Delta loses commits in a store: it looks whether an entry of the log is there and then writes it, and
of two drivers both may. Its rows go through Java, too, whoever has made them. Here files lie under names of their own,
and delta-rs creates the log's entry only if it is absent. What a commit replaces has to be what was there when the
writing began; a commit to other partitions that came between is no hindrance. Whether a commit whose answer was lost
has been made is told by a name of its own in the log.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from camoe.contracts.places.counts import require_equal
from camoe.contracts.places.store import PlaceError, open_place
from camoe.contracts.runs import RunError
from camoe.contracts.storage import delta_options, dropped, error_detail, is_remote, open_storage, pause_s, remedy

# Rows that a writer holds before it writes a file of each partition.
MOST_ROWS = 500_000
COMMITS = 30
# An error of the disk, as delta-rs tells it.
OF_THE_SYSTEM = re.compile(r"\(os error (\d+)\)")
# Values of partition columns; a file is meant whose partition has one of those of each column that is named.
Partitions = Mapping[str, Collection[object]]


@dataclass(frozen=True)
class Part:
    """A data file that was written to the table, and is not committed yet; `stats` as the log has them."""

    path: str
    size: int
    stats: Mapping[str, object]
    partition: Mapping[str, str]

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Part:
        """Return the one that `text` tells of."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class RemoteTable:
    """A Delta table at `location` of the columns `schema`; a file lies in one of the `partitions`."""

    location: str
    schema: pa.Schema
    partitions: tuple[str, ...]

    def write(self, tables: Iterable[pa.Table]) -> Iterator[Part]:
        """Write the rows of `tables` into files of this table, which nobody reads before they are committed.

        Raises:
            PlaceError: the store does not take one.
            OSError: the disk does not.
            CountError: a row has a null in a partition column.
        """
        held: dict[tuple[str, ...], list[pa.Table]] = defaultdict(list)
        rows = 0
        for table in tables:
            for values, own in self._by_partition(table.select(self.schema.names).cast(self.schema)):
                held[values].append(own)
                rows += own.num_rows
            if rows >= MOST_ROWS:
                yield from self._written(held)
                rows = 0
        yield from self._written(held)

    def replace(self, where: Partitions, write: Callable[[], Iterable[Part]]) -> None:
        """Replace the files in the partitions `where` by those that `write` writes, in one commit.

        Raises:
            RunError: another job changed the files of these partitions meanwhile; nothing of this one is there.
            PlaceError: the store does not take the commit.
            Exception: what `write` raises.
        """
        before, parts, name = files_in(self._made(), where), list[Part](), uuid4().hex
        try:
            for part in write():
                parts.append(part)
        except BaseException:
            self.discard(parts)
            raise
        commit = CommitProperties(max_commit_retries=0, app_transactions=[Transaction(name, 1)])
        for tries in range(1, COMMITS + 1):
            delta = table_at(self.location)
            if delta.transaction_version(name) is not None:
                return
            if files_in(delta, where) != before:
                break
            try:
                delta.create_write_transaction(
                    _actions(parts, before), "append", self.schema, [*self.partitions], commit_properties=commit
                )
                return
            except CommitFailedError:
                # Another commit came first; whether it hinders this one is seen at the next try.
                time.sleep(pause_s(min(tries, 3)))
            except (DeltaError, OSError) as error:
                self._go_on(error, tries)
        self.discard(parts)
        raise RunError(
            f"another job wrote to {self.location} at the same moment; nothing of this one is there: run it again"
        )

    def discard(self, parts: Iterable[Part]) -> None:
        """Delete files that are not committed."""
        if is_remote(self.location):
            open_place(self.location).delete(part.path for part in parts)
            return
        for part in parts:
            (Path(self.location) / part.path).unlink(missing_ok=True)

    def _made(self) -> DeltaTable:
        """Open the table; make it where there is none yet."""
        for tries in range(1, COMMITS + 1):
            try:
                return table_at(self.location)
            except TableNotFoundError:
                try:
                    DeltaTable.create(
                        self.location,
                        self.schema,
                        partition_by=[*self.partitions],
                        storage_options=delta_options(self.location),
                        # Two that make it at once would else each write an entry.
                        commit_properties=CommitProperties(max_commit_retries=0),
                    )
                except (DeltaError, OSError) as error:
                    # Another one may have made it first.
                    self._go_on(error, tries)
        raise PlaceError(f"the table at {self.location} cannot be made; look whether a log without a commit is there")

    def _go_on(self, error: Exception, tries: int) -> None:
        """Wait where a connection broke, so that it is tried again."""
        if isinstance(error, CommitFailedError) or "already exists" in str(error).lower():
            return
        if not dropped(error) or tries == COMMITS:
            raise _failed(self.location, error) from None
        time.sleep(pause_s(tries))

    def _by_partition(self, rows: pa.Table) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
        dealt = 0
        for values in rows.select(self.partitions).group_by([*self.partitions]).aggregate([]).to_pylist():
            own = rows
            for name in self.partitions:
                own = own.filter(pc.equal(own[name], pa.scalar(values[name], own[name].type)))
            dealt += own.num_rows
            yield tuple(str(values[name]) for name in self.partitions), own.drop_columns([*self.partitions])
        # A null is equal to nothing.
        require_equal(f"rows with {', '.join(self.partitions)}, for {self.location}", rows.num_rows, dealt)

    def _written(self, held: dict[tuple[str, ...], list[pa.Table]]) -> Iterator[Part]:
        for values in sorted(held):
            rows, sink = pa.concat_tables(held.pop(values)), pa.BufferOutputStream()
            pq.write_table(rows, sink, compression="zstd")
            content, partition = sink.getvalue().to_pybytes(), dict(zip(self.partitions, values, strict=True))
            yield Part(self._create(content, partition), len(content), _stats(rows), partition)

    def _create(self, content: bytes, partition: Mapping[str, str]) -> str:
        """Write a file under a name of its own; returns that, which on a disk names the partition's folders, too."""
        name = f"part-{uuid4()}.zstd.parquet"
        if is_remote(self.location):
            open_place(self.location).create(name, content)
            return name
        name = "/".join([*(f"{column}={quote(value, safe='')}" for column, value in partition.items()), name])
        file = Path(self.location) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            file.write_bytes(content)
        except OSError as error:
            file.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, self.location) from None
        return name


def table_at(location: str, version: int | None = None) -> DeltaTable:
    """Open the table at `location` at `version`, by default the newest.

    Raises:
        TableNotFoundError: there is none.
        PlaceError: the store does not give its log.
    """

    def opened() -> DeltaTable:
        return DeltaTable(location, version=version, storage_options=delta_options(location))

    try:
        return open_storage(location).tried(opened, f"the log of {location}")
    except OSError as error:
        raise _failed(location, error) from None


def _failed(location: str, error: Exception) -> Exception:
    of_the_system = None if is_remote(location) else OF_THE_SYSTEM.search(str(error))
    if of_the_system:
        number = int(of_the_system[1])
        return OSError(number, os.strerror(number), location)
    advice = remedy(error) or "look at the address and at what the store tells"
    return PlaceError(f"the log of {location} cannot be read or written ({error_detail(error)}); {advice}")


def files_in(delta: DeltaTable, where: Partitions) -> dict[str, dict[str, str | None]]:
    """Return the partition of each active file that lies in the partitions `where`, by its path within the table."""
    names = delta.metadata().partition_columns
    asked = {name: {str(value) for value in values} for name, values in where.items()}
    found = {}
    for action in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        values = {name: action[f"partition.{name}"] for name in names}
        partition = {name: None if value is None else str(value) for name, value in values.items()}
        if all(partition[name] in values for name, values in asked.items()):
            # As the log has it, quoted; what removes it is quoted anew.
            found[unquote(str(action["path"]))] = partition
    return found


def _stats(rows: pa.Table) -> dict[str, object]:
    """Return the number of rows, and the least and greatest value of the whole numbers."""
    whole = [field.name for field in rows.schema if pa.types.is_integer(field.type)]
    found = {name: pc.min_max(rows[name]).as_py() for name in whole}
    return {
        "numRecords": rows.num_rows,
        "minValues": {name: value["min"] for name, value in found.items()},
        "maxValues": {name: value["max"] for name, value in found.items()},
    }


def _actions(parts: Iterable[Part], replaced: Mapping[str, dict[str, str | None]]) -> list[AddAction | RemoveAction]:
    now = time.time_ns() // 1_000_000
    return [
        *(RemoveAction(path, True, now, None, partition) for path, partition in replaced.items()),
        *(AddAction(part.path, part.size, part.partition, now, True, json.dumps(part.stats)) for part in parts),
    ]
