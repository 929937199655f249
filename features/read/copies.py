"""Raw tables in an object store: the files that a run reads are copied first, and the copies are what it reads.

So a table in a store is read, checked, counted and quarantined as one on a disk is, whatever its format; each object
is read once, and as it was when it was listed. Tasks of Spark copy, through Python, as tables are read from a store.
The copies lie in a folder of the run below `Layout.copies`, on the disk that all machines see, and go with the run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote
from uuid import uuid4

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.sql import SparkSession

from camoe.contracts.errors import CamoeError, InputError
from camoe.contracts.hashing import short_hash
from camoe.contracts.layout import COPIES, lease_of
from camoe.contracts.places.leases import ENDED, holder_of, leased
from camoe.contracts.places.store import Listed, open_place
from camoe.contracts.runs import RunError
from features.delta.log import LOG
from features.read.delta_days import day_in
from features.read.objects import SCHEME, address_of, addressed, objects_at
from features.spark.progress import step

TASKS_A_CORE = 4
# Names of what was copied already, below the folder of a run; no bucket has this name.
DONE = ".done"


class Wanted(NamedTuple):
    """An object to copy: its name, its tag, when it was written (seconds since 1970), and the file that it becomes."""

    name: str
    tag: str
    written: float
    target: str


@contextmanager
def kept(copies: Path) -> Iterator[None]:
    """Keep what a run copies into its folder `copies` while the block runs, and remove it at its end.

    What runs that have ended left there, as they were killed, is removed, too. Messages name addresses, not copies.

    Raises:
        RunError: another process has copies under this name.
    """
    for left in copies.parent.glob("[!.]*"):
        with suppress(FileNotFoundError, RunError):
            if holder_of(lease_of(left))[1] == ENDED:
                with leased(lease_of(left), "run with copies of its own", RunError):
                    shutil.rmtree(left)
    with leased(lease_of(copies), "run with copies of its own", RunError):
        try:
            shutil.rmtree(copies, ignore_errors=True)
            yield
        except CamoeError as error:
            error.args = tuple(addressed(str(told), copies) for told in error.args)
            raise
        finally:
            shutil.rmtree(copies, ignore_errors=True)
    # Where other runs have copies, it is not empty.
    with suppress(OSError):
        copies.parent.rmdir()


def bring(spark: SparkSession, name: str, path: Path) -> None:
    """Copy the files of the table `name` for which `path` stands, once a run; a local path stands for itself.

    Raises:
        InputError: an object has a name that no file could have, or changed while it was copied.
        PlaceError: the store does not list or give one.
    """
    address = address_of(path)
    if address is not None and not _done(path).exists():
        _copy(spark, path, address, [one for one, _ in objects_at(name, address)])
        # As of a folder in which nothing is data.
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.mkdir()
        _tell_done(path)


def bring_log(spark: SparkSession, name: str, path: Path) -> None:
    """Copy the log of the Delta table for which `path` stands, once a run. Raises as `bring` does."""
    address, log = address_of(path), path / LOG
    if address is not None and not _done(log).exists():
        _copy(spark, log, f"{address}/{LOG}", [one for one, _ in objects_at(name, f"{address}/{LOG}", hidden=True)])
        _tell_done(log)


def bring_version(
    spark: SparkSession, name: str, path: Path, version: int, of_days: tuple[str, Collection[date]] | None
) -> None:
    """Copy the files of a version of the Delta table for which `path` stands, once its log is copied.

    With `of_days`, a partition column and days, these are the files of those days.

    Raises:
        InputError: as `bring` does; a file is gone or lies elsewhere, or the version has deletion vectors.
        PlaceError: the store does not list or give one.
    """
    days = sorted(of_days[1]) if of_days else []
    address, mark = address_of(path), path / " ".join(map(str, (version, *days)))
    if address is None or _done(mark).exists():
        return
    there = {"/".join(parts): one for one, parts in objects_at(name, address, hidden=True)}
    missing = sorted(set(files := _active(name, path, version, of_days)) - there.keys())
    if missing:
        raise InputError(
            f"{name}: version {version} of {path} names {missing[0]}, which is gone (vacuumed?) or lies elsewhere; "
            "read a newer version, or write the table anew"
        )
    _copy(spark, path, address, [there[file] for file in files])
    _tell_done(mark)


def _active(name: str, path: Path, version: int, of_days: tuple[str, Collection[date]] | None) -> list[str]:
    """Return the paths of the version's files within the table; none of a version that is not there."""
    try:
        delta = DeltaTable(str(path), version=version)
    except DeltaError:
        return []
    if "deletionVectors" in (delta.protocol().reader_features or ()):
        raise InputError(
            f"{name}: {path} has deletion vectors, which lie beside its files; switch them off and purge it "
            "(REORG TABLE ... APPLY (PURGE)), or copy it to a local folder"
        )
    files = pa.table(delta.get_add_actions(flatten=True))
    paths = [unquote(file) for file in files["path"].to_pylist()]
    if of_days is None:
        return paths
    values = files[f"partition.{of_days[0]}"].cast(pa.string()).to_pylist()
    return [file for file, value in zip(paths, values, strict=True) if day_in(value) in of_days[1]]


def _copy(spark: SparkSession, path: Path, address: str, objects: Sequence[Listed]) -> None:
    bucket = address.removeprefix(SCHEME).partition("/")[0]
    folder, context = _run(path) / bucket, spark.sparkContext
    lacking = [one for one in objects if not (folder / one.name).exists()]
    if not lacking:
        return
    wanted = [Wanted(one.name, one.tag, one.written.timestamp(), str(folder / one.name)) for one in lacking]
    tasks = context.parallelize(wanted, min(len(wanted), TASKS_A_CORE * context.defaultParallelism))
    size = sum(one.size for one in lacking)
    with step(context, f"copying {len(lacking):,} files of {address} ({size / 2**20:,.1f} MiB)"):
        tasks.foreachPartition(_Copier(SCHEME + bucket))


@dataclass(frozen=True)
class _Copier:
    """Copies objects of `bucket`."""

    bucket: str

    def __call__(self, wanted: Iterable[Wanted]) -> None:
        place = open_place(self.bucket)
        for one in wanted:
            target = Path(one.target)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Hidden, and renamed once it is whole: a task may run twice.
            part = target.with_name(f".{uuid4().hex}")
            try:
                place.download(one.name, part, one.tag)
                os.utime(part, (one.written, one.written))
                part.replace(target)
            except FileNotFoundError:
                raise InputError(
                    f"{self.bucket}/{one.name} was changed or removed while it was read; run this again"
                ) from None
            finally:
                part.unlink(missing_ok=True)


def _run(path: Path) -> Path:
    """Return the folder of the run in which `path` lies."""
    return Path(*path.parts[: path.parts.index(COPIES) + 2])


def _done(path: Path) -> Path:
    return _run(path) / DONE / short_hash(str(path))


def _tell_done(path: Path) -> None:
    _done(path).parent.mkdir(parents=True, exist_ok=True)
    _done(path).touch()
