"""What of a file the system holds in memory: the difference between a read and a copy."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable
from pathlib import Path

CHUNK = 1 << 24


def resident(path: Path) -> float:
    """Return the share of the file's pages that are in the page cache."""
    size = path.stat().st_size
    pages = -(-size // mmap.PAGESIZE)
    told = (ctypes.c_ubyte * pages)()
    # A private mapping, because ctypes takes the address of writable memory only; nothing is written.
    with path.open("rb") as file, mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        failed = ctypes.CDLL(None, use_errno=True).mincore(ctypes.c_void_p(ctypes.addressof(first)), size, told)
        del first
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    return sum(page & 1 for page in told) / pages


def forget(paths: Iterable[Path]) -> None:
    """Let the system drop the files' pages."""
    for path in paths:
        with path.open("rb") as file:
            # Pages that are not on the disk yet would stay.
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_once(paths: Iterable[Path]) -> None:
    """Let the system read the files into memory."""
    for path in paths:
        with path.open("rb") as file:
            while file.read(CHUNK):
                pass
