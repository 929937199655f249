"""Paths in an object store: what `Path` does with files, done with objects. What stores do not do is refused.

A folder is there where an object lies below it; none is made. So code that reads, lists, writes and deletes small files
does so wherever they lie. Tables and folders of files that belong together have ways of their own
(`camoe.contracts.places.commits`, `camoe.contracts.files`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Annotated, Any, NoReturn

from pydantic import WrapValidator

from camoe.contracts.config_file import address_or_path
from camoe.contracts.files import RemotePath
from camoe.contracts.places.store import Listed, Place, PlaceError, is_address, open_place

SCHEME = "s3://"
WILD = "*?["


class StorePath(RemotePath):
    """`s3://bucket/path`; the store is asked at each use. Raises `PlaceError` where it does not answer."""

    def __str__(self) -> str:
        """Return the address."""
        return SCHEME + "/".join(self.parts[1:])

    def __fspath__(self) -> str:
        """Return the address, which no function of the operating system takes for a file of this machine."""
        return str(self)

    def as_uri(self) -> str:
        """Return the address."""
        return str(self)

    def is_absolute(self) -> bool:
        """Return True: an address is relative to nothing."""
        return True

    def absolute(self) -> StorePath:
        """Return the path."""
        return self

    def resolve(self, strict: bool = False) -> StorePath:
        """Return the path: a store has no links."""
        return self

    def is_symlink(self) -> bool:
        """Return False: a store has no links."""
        return False

    def found(self) -> tuple[bytes, str] | None:
        """See `RemotePath`."""
        return self._place.read(self._name)

    def create(self, content: bytes) -> bool:
        """See `RemotePath`."""
        return self._place.create(self._name, content)

    def exchange(self, content: bytes, tag: str) -> bool:
        """See `RemotePath`."""
        return self._place.replace(self._name, content, tag)

    def upload(self, source: Path) -> None:
        """See `RemotePath`."""
        self._place.upload(self._name, source)

    def download(self, target: Path) -> str:
        """See `RemotePath`."""
        return self._place.download(self._name, target)

    def remove(self) -> None:
        """See `RemotePath`."""
        self._place.delete([self._name, *self._place.names(self._name)])

    def read_bytes(self) -> bytes:
        """Read the object. Raises `FileNotFoundError` where there is none."""
        found = self.found()
        if found is None:
            raise FileNotFoundError(str(self))
        return found[0]

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """Read the object as text, UTF-8 unless it is said otherwise."""
        return self.read_bytes().decode(encoding or "utf-8", errors or "strict")

    def exists(self) -> bool:
        """Return whether the object is there, or one below it."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Return whether the object is there."""
        return self.entry() is not None

    def is_dir(self) -> bool:
        """Return whether an object is there below it."""
        return self._place.has_below(self._name)

    def entry(self) -> Listed | None:
        """Return the object as it is listed; None where there is none."""
        return self._place.entry(self._name)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return size and time of writing; of a folder those of all objects below it, and of the newest."""
        own = self.entry()
        listed = [own] if own else self._place.listed(self._name)
        if not listed:
            raise FileNotFoundError(str(self))
        size, written = sum(one.size for one in listed), max(one.written for one in listed).timestamp()
        kind = stat.S_IFREG if own else stat.S_IFDIR
        return os.stat_result((kind, 0, 0, 0, 0, 0, size, written, written, written))

    def iterdir(self) -> Generator[StorePath, None, None]:
        """Yield what lies in it, in order."""
        yield from (self / name for name in self._place.children(self._name))

    def glob(self, pattern: str) -> Generator[StorePath, None, None]:
        """Yield what lies below it and matches `pattern`, in order; `**` is not known."""
        parts = PurePath(pattern).parts
        plain = len([*takewhile(lambda part: not any(sign in part for sign in WILD), parts[:-1])])
        start, asked = self.joinpath(*parts[:plain]), parts[plain:]
        found: set[tuple[str, ...]]
        if len(asked) == 1:
            found = {(name,) for name in start._place.children(start._name)}
        else:
            depth = len(start.parts) - 2
            names = (tuple(name.split("/")[depth:]) for name in start._place.names(start._name))
            found = {name[: len(asked)] for name in names if len(name) >= len(asked)}
        yield from (start.joinpath(*name) for name in sorted(found) if all(map(fnmatchcase, name, asked)))

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object."""
        if not missing_ok and not self.is_file():
            raise FileNotFoundError(str(self))
        self._place.delete([self._name])

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: what is written below a folder makes it."""

    def open(self, *arguments: Any, **options: Any) -> NoReturn:
        """Raise `PlaceError`; `read_bytes` and `upload` read and write."""
        raise PlaceError(f"{self} is no file that can be opened; this is a fault of the program")

    rename = replace = symlink_to = rmdir = touch = write_bytes = write_text = open

    @property
    def _place(self) -> Place:
        told = tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))
        return _bucket(self.parts[1], told, os.getpid())

    @property
    def _name(self) -> str:
        return "/".join(self.parts[2:])


@lru_cache(maxsize=8)
def _bucket(name: str, told: tuple[tuple[str, str], ...], process: int) -> Place:
    """Open a bucket, once in a process and with what the environment tells of the store: connections are kept."""
    return open_place(SCHEME + name)


def path_at(place: str | Path) -> Path:
    """Return the path of an address in an object store, or a local one.

    Raises:
        ValueError: it is neither; what stands there is not repeated.
    """
    found = place if isinstance(place, Path) else address_or_path(place)
    return StorePath(str(found)) if is_address(str(found)) else Path(str(found))


def _folder(value: object, local: Callable[[object], Path]) -> Path:
    found = address_or_path(value)
    return StorePath(found) if isinstance(found, str) and is_address(found) else local(found)


# A folder or file that the configuration names, on a disk or in a store.
Folder = Annotated[Path, WrapValidator(_folder)]
