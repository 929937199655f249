"""Data files of a Delta table, on a disk or in an object store, and the commit that makes them count.

Spark's writer of Delta loses commits in a store: it looks whether an entry of the log is there and then writes it, and
of two drivers both may. Its rows go through Java, too, whoever has made them. Here files lie under names of their own,
and delta-rs creates the log's entry only if it is absent. What a commit replaces has to be what was there when the
writing began; a commit to other partitions that came between is no hindrance. Whether a commit whose answer was lost
has been made is told by a name of its own in the log.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from camoe.contracts.places.counts import require_equal
from camoe.contracts.places.entries import Part, actions_of, first_entry, name_of, stats_of
from camoe.contracts.places.store import PlaceError, open_place
from camoe.contracts.runs import RunError
from camoe.contracts.storage import delta_options, dropped, error_detail, is_remote, open_storage, pause_s, remedy

# Rows that a writer holds before it writes a file of each partition.
MOST_ROWS = 500_000
COMMITS = 30
# An error of the disk, as delta-rs tells it.
OF_THE_SYSTEM = re.compile(r"\(os error (\d+)\)")
# What a file has in its partition columns, as the log has it.
Values = tuple[str | None, ...]
# Values of partition columns; a file is meant whose partition has one of those of each column that is named.
Partitions = Mapping[str, Collection[object]]
# Which files are meant, by what they have in their partition columns.
Where = Partitions | Callable[[Mapping[str, str | None]], bool]
# On a disk, where a file has none.
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class CommittedTable:
    """A Delta table at `location` of the columns `schema`; a file lies in one of the `partitions`.

    It is made with the `properties`, and nothing is committed to one that has others. A file has at most
    `rows_per_file` rows, and the log the least and greatest value of whole numbers and of the columns `told`. Only in
    the partition columns `may_lack` a row may have a null.
    """

    location: str
    schema: pa.Schema
    partitions: tuple[str, ...]
    properties: Mapping[str, str] = field(default_factory=dict)
    rows_per_file: int = MOST_ROWS
    told: tuple[str, ...] = ()
    may_lack: tuple[str, ...] = ()

    def write(self, tables: Iterable[pa.Table]) -> Iterator[Part]:
        """Write the rows of `tables` into files of this table, which nobody reads before they are committed.

        Raises:
            PlaceError: the store does not take one.
            OSError: the disk does not.
            CountError: a row has a null in a partition column that may not lack a value.
        """
        held: dict[Values, list[pa.Table]] = defaultdict(list)
        rows = 0
        for table in tables:
            for values, own in self._by_partition(table.select(self.schema.names).cast(self.schema)):
                held[values].append(own)
                rows += own.num_rows
                # Rows that come in order make whole files in order, and few are held.
                while sum(part.num_rows for part in held[values]) >= self.rows_per_file:
                    whole = pa.concat_tables(held[values])
                    yield self._written(values, whole.slice(0, self.rows_per_file))
                    held[values] = [whole.slice(self.rows_per_file)]
                    rows -= self.rows_per_file
            if rows >= MOST_ROWS:
                yield from self._all_written(held)
                rows = 0
        yield from self._all_written(held)

    def replace(
        self,
        where: Where,
        write: Callable[[], Iterable[Part]],
        name: str = "",
        *,
        same_rows: bool = False,
        **told: object,
    ) -> int:
        """Replace the files in the partitions `where` by those that `write` writes, in one commit.

        By its `name` (default: one of its own) the table's log knows whether the commit was made. `told` is what the
        log says of it, and that the rows stayed the `same_rows`. Returns the commit's version, or where its answer was
        lost the newest, which has it.

        Raises:
            RunError: another job changed the files of these partitions meanwhile, or made the table with other
                properties; nothing of this one is there.
            PlaceError: the store does not take the commit.
            Exception: what `write` raises.
        """
        there = self._there()
        before, name = files_in(there, where) if there else {}, name or uuid4().hex
        parts = self._all_parts(write)
        self._make()
        actions, commit = actions_of(parts, before, changed=not same_rows), _signature(parts, name, told)
        for tries in range(1, COMMITS + 1):
            delta = table_at(self.location)
            if delta.transaction_version(name) is not None:
                return delta.version()
            found = dict(delta.metadata().configuration)
            if files_in(delta, where) != before or {**found, **self.properties} != found:
                break
            try:
                delta.create_write_transaction(
                    actions, "append", self.schema, [*self.partitions], commit_properties=commit
                )
                return delta.version() + 1
            except CommitFailedError:
                # Another commit came first; whether it hinders this one is seen at the next try.
                time.sleep(pause_s(min(tries, 3)))
            except (DeltaError, OSError) as error:
                self._go_on(error, tries)
        self.discard(parts)
        raise RunError(
            f"another job wrote to {self.location} at the same moment; nothing of this one is there: run it again"
        )

    def _all_parts(self, write: Callable[[], Iterable[Part]]) -> list[Part]:
        parts = list[Part]()
        try:
            for part in write():
                parts.append(part)
        except BaseException:
            self.discard(parts)
            raise
        return parts

    def discard(self, parts: Iterable[Part]) -> None:
        """Delete files that are not committed."""
        if is_remote(self.location):
            open_place(self.location).delete(part.path for part in parts)
            return
        for part in parts:
            (Path(self.location) / part.path).unlink(missing_ok=True)

    def _there(self) -> DeltaTable | None:
        try:
            return table_at(self.location)
        except TableNotFoundError:
            return None

    def _make(self) -> None:
        """Make the table where there is none yet; of several that do, one does."""
        for tries in range(1, COMMITS + 1):
            if self._there() is not None:
                return
            if is_remote(self.location):
                # delta-rs makes no table with properties that it does not know.
                open_place(self.location).create(name_of(0), first_entry(self.schema, self.partitions, self.properties))
                return
            try:
                DeltaTable.create(
                    self.location,
                    self.schema,
                    partition_by=[*self.partitions],
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

    def _by_partition(self, rows: pa.Table) -> Iterator[tuple[Values, pa.Table]]:
        dealt = 0
        for values in rows.select(self.partitions).group_by([*self.partitions]).aggregate([]).to_pylist():
            own = rows
            for name in self.partitions:
                lacks = values[name] is None and name in self.may_lack
                equal = pc.equal(own[name], pa.scalar(values[name], own[name].type))
                own = own.filter(pc.is_null(own[name]) if lacks else equal)
            dealt += own.num_rows
            yield tuple(_as_text(values[name]) for name in self.partitions), own.drop_columns([*self.partitions])
        # A null is equal to nothing.
        require_equal(f"rows with {', '.join(self.partitions)}, for {self.location}", rows.num_rows, dealt)

    def _all_written(self, held: dict[Values, list[pa.Table]]) -> Iterator[Part]:
        for values in sorted(held, key=str):
            rows = pa.concat_tables(held.pop(values))
            if rows.num_rows:
                yield self._written(values, rows)

    def _written(self, values: Values, rows: pa.Table) -> Part:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink, compression="zstd")
        content, partition = sink.getvalue().to_pybytes(), dict(zip(self.partitions, values, strict=True))
        return Part(self._create(content, partition), len(content), stats_of(rows, self.told), partition)

    def _create(self, content: bytes, partition: Mapping[str, str | None]) -> str:
        """Write a file under a name of its own; returns that, which on a disk names the partition's folders, too."""
        name = f"part-{uuid4()}.zstd.parquet"
        if is_remote(self.location):
            open_place(self.location).create(name, content)
            return name
        name = "/".join(
            [*(f"{column}={quote(value or NULL_FOLDER, safe='')}" for column, value in partition.items()), name]
        )
        file = Path(self.location) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            file.write_bytes(content)
        except OSError as error:
            file.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, self.location) from None
        return name


def _signature(parts: Iterable[Part], name: str, told: Mapping[str, object]) -> CommitProperties:
    rows = sum(int(str(part.stats["numRecords"])) for part in parts)
    return CommitProperties(
        max_commit_retries=0,
        app_transactions=[Transaction(name, 1)],
        custom_metadata={**told, "operationMetrics": {"numOutputRows": str(rows)}},
    )


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


def _among(where: Partitions) -> Callable[[Mapping[str, str | None]], bool]:
    asked = {name: {_as_text(value) for value in values} for name, values in where.items()}
    return lambda partition: all(partition[name] in values for name, values in asked.items())


def _as_text(value: object) -> str | None:
    return None if value is None else str(value)


def files_in(delta: DeltaTable, where: Where) -> dict[str, dict[str, str | None]]:
    """Return the partition of each active file that lies in the partitions `where`, by its path within the table."""
    names = delta.metadata().partition_columns
    meant = where if callable(where) else _among(where)
    found = {}
    for action in pa.table(delta.get_add_actions(flatten=True)).to_pylist():
        values = {name: action[f"partition.{name}"] for name in names}
        partition = {name: _as_text(value) for name, value in values.items()}
        if meant(partition):
            # As the log has it, quoted; what removes it is quoted anew.
            found[unquote(str(action["path"]))] = partition
    return found
