"""Objects below an address of an object store: read, listed and written so that of several writers one succeeds.

Nothing is renamed in a store, and two objects cannot be written in one step. So what belongs together lies under names
that nobody writes anything else to, and one small object makes it count: it is created only if it is absent, or
replaced only if it is as it was read. Both are one step of the store (`If-None-Match`, `If-Match`).

Reads and writes are tried again as those of `camoe.contracts.storage` are. An answer may be lost on its way: the writer
finds its own content then and has succeeded, which is why such content should be of one writer alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from camoe.contracts.config_file import BUCKET_AND_PATH
from camoe.contracts.errors import CamoeError
from camoe.contracts.storage import (
    ANSWER_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    RETRIES,
    Storage,
    error_detail,
    open_storage,
    remedy,
)

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta

CHUNK_BYTES = 8 * 2**20

T = TypeVar("T")


class PlaceError(CamoeError):
    """An object store does not give or take an object."""


class Found(NamedTuple):
    """An object as it was read; `tag` is another one once it has been replaced."""

    content: bytes
    tag: str


class Listed(NamedTuple):
    """An object as it was listed: its name, bytes, tag, and when it was written."""

    name: str
    size: int
    tag: str
    written: datetime


@dataclass(frozen=True)
class Place:
    """Objects below `address`, each by its name relative to it."""

    address: str
    store: S3Store
    storage: Storage

    def read(self, name: str) -> Found | None:
        """Read an object; None where there is none."""

        def read() -> Found:
            got = obstore.get(self.store, name)
            return Found(bytes(got.bytes()), _tag(got.meta["e_tag"]))

        try:
            return self._asked(read, name)
        except FileNotFoundError:
            return None

    def download(self, name: str, target: Path, tag: str | None = None) -> str:
        """Write an object to the file `target`; returns its SHA-256.

        Raises:
            FileNotFoundError: there is none; or, where a `tag` is given, another one than was listed with it.
        """
        options: GetOptions = {} if tag is None else {"if_match": tag}

        def download() -> str:
            digest = hashlib.sha256()
            with target.open("wb") as file:
                for chunk in obstore.get(self.store, name, options=options).stream(min_chunk_size=CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
            return digest.hexdigest()

        try:
            return self._asked(download, name)
        except PreconditionError:
            raise FileNotFoundError(name) from None

    def names(self, below: str = "") -> list[str]:
        """List the names of all objects whose names begin with the folder `below`, in order."""
        return [one.name for one in self.listed(below)]

    def listed(self, below: str = "") -> list[Listed]:
        """List all objects whose names begin with the folder `below`, in order.

        An object that a console has made for the folder itself, of its name and a slash, is none of them.
        """
        entries = self._asked(lambda: [*obstore.list(self.store, below or None)], below)
        found = (_listed(entry) for part in entries for entry in part)
        return sorted(one for one in found if one.name not in {"", below})

    def children(self, below: str = "") -> list[str]:
        """List the names of what lies in the folder `below`, relative to it: of objects and of folders, in order."""
        found = self._asked(lambda: obstore.list_with_delimiter(self.store, below or None), below)
        paths = [*found["common_prefixes"], *(entry["path"] for entry in found["objects"] if entry["path"] != below)]
        return sorted(path.rpartition("/")[2] for path in paths)

    def has_below(self, folder: str) -> bool:
        """Return whether there is an object in `folder` or below it."""
        return self._asked(lambda: any(len(part) for part in obstore.list(self.store, folder or None)), folder)

    def entry(self, name: str) -> Listed | None:
        """Return an object as it is listed; None where there is none."""
        try:
            return self._asked(lambda: _listed(obstore.head(self.store, name)), name)
        except FileNotFoundError:
            return None

    def upload(self, name: str, source: Path) -> None:
        """Write the file `source` as an object, over one of that name."""
        self._asked(lambda: obstore.put(self.store, name, source), name, "write")

    def create(self, name: str, content: bytes) -> bool:
        """Write an object unless there is one of that name; returns whether it is this one."""
        return self._written(name, content, lambda: obstore.put(self.store, name, content, mode="create"))

    def replace(self, name: str, content: bytes, tag: str) -> bool:
        """Write an object in the place of the one that was read with `tag`; returns whether it was still there."""
        return self._written(name, content, lambda: obstore.put(self.store, name, content, mode={"e_tag": tag}))

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; those that are not there are left alone."""
        listed = list(names)
        if listed:
            self._asked(lambda: obstore.delete(self.store, listed), listed[0], "delete")

    def _written(self, name: str, content: bytes, write: Callable[[], object]) -> bool:
        try:
            self._asked(write, name, "write")
        except (AlreadyExistsError, PreconditionError, FileNotFoundError):
            found = self.read(name)
            return found is not None and found.content == content
        return True

    def _asked(self, call: Callable[[], T], name: str, to: str = "read") -> T:
        what = f"{self.address}/{name}"

        def once() -> T:
            try:
                return call()
            except (AlreadyExistsError, PreconditionError, FileNotFoundError):
                raise
            except (PermissionDeniedError, UnauthenticatedError) as error:
                raise PermissionError(str(error)) from None
            except BaseError as error:
                raise OSError(str(error)) from None

        try:
            return self.storage.tried(once, what, to)
        except FileNotFoundError:
            raise
        except OSError as error:
            advice = remedy(error) or "look at the address and at what the store tells"
            raise PlaceError(f"{what}: the store fails ({error_detail(error)}); {advice}") from None


def is_address(place: str | Path) -> bool:
    """Return whether `place` is an address in an object store, not a local path."""
    return str(place).startswith(("s3://", "s3a://"))


def open_place(address: str, retries: int = RETRIES) -> Place:
    """Open the objects below `address`, `s3://bucket/path`; the credentials come from the environment.

    Raises:
        PlaceError: it is none; what stands there is not repeated, as it may hold a password.
        SnapshotError: `AWS_ENDPOINT_URL` is no address, or plain http and not allowed.
    """
    if not BUCKET_AND_PATH.fullmatch(address):
        raise PlaceError("an address in an object store reads s3://bucket/path; give no credentials in it")
    bucket, _, path = address.partition("://")[2].rstrip("/").partition("/")
    storage = open_storage(address, retries)
    store = S3Store(
        bucket,
        prefix=path or None,
        client_options={
            "connect_timeout": f"{CONNECT_TIMEOUT_S:g}s",
            "timeout": f"{ANSWER_TIMEOUT_S}s",
            # `open_storage` has seen that it may be plain.
            "allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"),
        },
        # All retries are made here.
        retry_config={"max_retries": 0},
    )
    return Place(address.rstrip("/"), store, storage)


def _listed(entry: ObjectMeta) -> Listed:
    return Listed(entry["path"], entry["size"], _tag(entry["e_tag"]), entry["last_modified"])


def _tag(found: str | None) -> str:
    if found is None:
        raise OSError("the store gives no tag (ETag) by which a change could be told")
    return found
