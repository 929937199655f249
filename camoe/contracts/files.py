"""Small files that are either the old content or the new one, never between."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

TEMPORARY = re.compile(r"\..+\.(json|html|md|png)\.\d+")


def write_text(path: Path, text: str) -> None:
    """Write through a temporary file beside `path`, synced, then renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Let no other process of this host hold `path` while the block runs; waits for one that does.

    The lock is the kernel's, on an empty file beside `path`, which goes when the block ends.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    while True:
        with lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever held it before has removed it; then another may have made it anew and hold that one.
            if not _lies_at(file, lock):
                continue
            try:
                yield
            finally:
                lock.unlink()
            return


def _lies_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def is_temporary(path: Path) -> bool:
    """Whether `path` is named as the temporary files of `write_text` are, one of which a killed process may leave."""
    return TEMPORARY.fullmatch(path.name) is not None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, atomically; values JSON does not know are written as text.

    Raises:
        ValueError: a number is not finite, which other readers of JSON refuse; None is what to write.
    """
    write_text(path, json.dumps(content, indent=2, default=str, allow_nan=False) + "\n")
