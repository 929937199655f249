"""The file that a lease is, on a disk or in a store: created if absent, renewed, and taken over as it was seen."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

from camoe.contracts.files import RemotePath, held

# Renewals of a lease in a store after which its content is as it was.
RENEWALS = 1_000


class Seen(NamedTuple):
    """What a lease holds, and a stamp that is another one once it is renewed."""

    content: bytes
    stamp: str | int


class LeaseFile(Protocol):
    """A lease. What it does raises `OSError` or `CamoeError` where disk or store do not answer."""

    def create(self, mine: bytes) -> bool:
        """Make it `mine` if there is none; return whether that is so."""

    def seen(self) -> Seen:
        """Return what is there. Raises `FileNotFoundError` where nothing is."""

    def take_over(self, mine: bytes, seen: Seen) -> bool:
        """Make it `mine` if it is as it was `seen`; of several that try, one succeeds."""

    def renew(self, seen: Seen) -> None:
        """Make it younger, if it is as it was `seen`."""

    def silent_s(self) -> float:
        """Return for how long it was not renewed, by the clock of what holds it."""


@dataclass(frozen=True)
class _OnDisk:
    path: Path

    def create(self, mine: bytes) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.path.open("xb") as file:
                file.write(mine)
        except FileExistsError:
            return False
        return True

    def seen(self) -> Seen:
        return Seen(self.path.read_bytes(), self.path.stat().st_mtime_ns)

    def take_over(self, mine: bytes, seen: Seen) -> bool:
        with held(self.path):
            if self.seen() != seen:
                return False
            self.path.write_bytes(mine)
        return True

    def renew(self, seen: Seen) -> None:
        os.utime(self.path)

    def silent_s(self) -> float:
        with tempfile.TemporaryFile(dir=self.path.parent) as probe:
            return os.fstat(probe.fileno()).st_mtime - self.path.stat().st_mtime


@dataclass(frozen=True)
class _InStore:
    """The tag tells of the content alone, so that each renewal changes it: by the number of spaces at its end."""

    path: RemotePath

    def create(self, mine: bytes) -> bool:
        return self.path.create(mine)

    def seen(self) -> Seen:
        found = self.path.found()
        if found is None:
            raise FileNotFoundError(str(self.path))
        return Seen(found[0].rstrip(), f"{found[1]} {len(found[0])}")

    def take_over(self, mine: bytes, seen: Seen) -> bool:
        return self.path.exchange(mine, str(seen.stamp).split()[0])

    def renew(self, seen: Seen) -> None:
        tag, length = str(seen.stamp).split()
        spaces = (int(length) - len(seen.content) + 1) % RENEWALS
        self.path.exchange(seen.content + b" " * spaces, tag)

    def silent_s(self) -> float:
        probe = self.path.with_name(f".clock-{uuid4().hex}")
        assert isinstance(probe, RemotePath)
        probe.create(b"")
        try:
            return probe.stat().st_mtime - self.path.stat().st_mtime
        finally:
            probe.unlink(missing_ok=True)


def lease_file(path: Path) -> LeaseFile:
    """Return the lease at a path of a disk or of a store."""
    return _InStore(path) if isinstance(path, RemotePath) else _OnDisk(path)
