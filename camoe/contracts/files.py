"""Files and folders that are either the old content or the new one, never between."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

TEMPORARY = re.compile(r"\..+\.(json|html|md|png)\.\d+")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; once the block ends, sync that file and rename it over `path`.

    When the block or the disk fails, nothing of it stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def is_temporary(path: Path) -> bool:
    """Return whether `path` is a temporary file of `atomic_file`, one of which a killed process may leave."""
    return TEMPORARY.fullmatch(path.name) is not None


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, atomically; values JSON does not know are written as text.

    Raises:
        ValueError: a number is not finite, which other readers of JSON refuse; None is what to write.
    """
    write_text(path, json.dumps(content, indent=2, default=str, allow_nan=False) + "\n")


@contextmanager
def atomic_folder(target: Path, staging: Path) -> Iterator[Path]:
    """Yield the empty folder `staging`; once the block ends, `publish_folder` it as `target`.

    When the block or the disk fails, nothing of it stays.
    """
    with staged(staging):
        yield staging
        publish_folder(staging, target)


@contextmanager
def staged(staging: Path) -> Iterator[Path]:
    """Yield the empty folder `staging`, which goes when the block fails.

    What a killed process left there goes first.
    """
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir(parents=True)
    try:
        yield staging
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def publish_folder(staging: Path, target: Path) -> None:
    """Sync all that lies in `staging` and rename it to `target`, on the same file system.

    Files get the rights that the process gives what it makes; some writers give theirs to their owner alone.

    Raises:
        OSError: the disk does not take it, or `target` is a folder with content.
    """
    rights = 0o666 & ~_umask()
    for path in (*staging.rglob("*"), staging):
        if path.is_file():
            path.chmod(rights)
        _sync(path)
    move(staging, target)


def remove_folder(path: Path) -> None:
    """Remove a folder; renamed first, so that one that is half removed does not look like a whole one."""
    doomed = path.with_name(f".staging-{path.name}")
    path.rename(doomed)
    shutil.rmtree(doomed)


def move(source: Path, target: Path) -> None:
    """Rename `source` to `target` and sync the folder that `target` lies in."""
    source.rename(target)
    _sync(target.parent)


def _umask() -> int:
    # It can only be read by setting it, which other threads would see; the kernel tells it for the asking.
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"^Umask:\s*(\d+)$", status, re.MULTILINE)[0], 8)


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Let no other process of this host hold `path` while the block runs; waits for one that does.

    The lock is the kernel's, on an empty file beside `path`, which goes when the block ends; a killed process holds
    nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f".{path.name}.lock")
    with FileLock(lock, fallback_to_soft=False):
        try:
            yield
        finally:
            # While it is held: whoever waits for it then sees that its file has no name any more, and makes another.
            lock.unlink()
