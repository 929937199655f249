"""Files and folders that are either the old content or the new one, never between; on a disk, or in an object store.

Nothing is renamed in a store. A file is one object. The files of a folder lie below it under a name that nobody else
has, and a small object, created only if it is absent, names them: the folder is there from then on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PosixPath
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from filelock import FileLock

from camoe.contracts.hashing import file_hashes

TEMPORARY = re.compile(r"\..+\.(json|html|md|png)\.\d+")
# What makes a folder in a store whole: `at` is where its files lie, `files` are their SHA-256 by name.
WHOLE = "folder.json"
CACHE = "CAMOE_CACHE"


class RemotePath(PosixPath):
    """A path in an object store, which does with objects what `Path` does with files, and what stores do beside.

    `camoe.contracts.places.objects` makes them.
    """

    def found(self) -> tuple[bytes, str] | None:
        """Read the object, and the tag that changes with it; None where there is none."""
        raise NotImplementedError

    def create(self, content: bytes) -> bool:
        """Write the object unless there is one; return whether it is this one."""
        raise NotImplementedError

    def exchange(self, content: bytes, tag: str) -> bool:
        """Write the object in the place of the one that was found with `tag`; return whether it was still there."""
        raise NotImplementedError

    def upload(self, source: Path) -> None:
        """Write the file `source` as the object."""
        raise NotImplementedError

    def download(self, target: Path) -> str:
        """Write the object to the file `target`; return its SHA-256. Raises `FileNotFoundError` where there is none."""
        raise NotImplementedError

    def remove(self) -> None:
        """Delete the object, and all below it."""
        raise NotImplementedError


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; once the block ends, sync that file and rename it over `path`.

    When the block or the disk fails, nothing of it stays.
    """
    if isinstance(path, RemotePath):
        with TemporaryDirectory() as folder:
            yield Path(folder, path.name)
            path.upload(Path(folder, path.name))
        return
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
    """Write `content` to `path`, atomically, as `as_json` gives it."""
    write_text(path, as_json(content))


def as_json(content: Mapping[str, Any]) -> str:
    """Return `content` as indented JSON; values that JSON does not know are written as text.

    Raises:
        ValueError: a number is not finite, which other readers of JSON refuse; None is what to write.
    """
    return json.dumps(content, indent=2, default=str, allow_nan=False) + "\n"


def updated(path: Path, change: Callable[[bytes | None], str]) -> None:
    """Write what `change` makes of the content of `path` (None: there is none); of changes at once none is lost."""
    if not isinstance(path, RemotePath):
        with held(path):
            write_text(path, change(path.read_bytes() if path.exists() else None))
        return
    done = False
    while not done:
        found = path.found()
        content = change(None if found is None else found[0]).encode()
        done = path.create(content) if found is None else path.exchange(content, found[1])


@contextmanager
def atomic_folder(target: Path, staging: Path) -> Iterator[Path]:
    """Yield the empty folder `staging`; once the block ends, `publish_folder` it as `target`.

    When the block or the disk fails, nothing of it stays.
    """
    if isinstance(target, RemotePath):
        with TemporaryDirectory() as folder:
            yield Path(folder)
            publish_folder(Path(folder), target)
        return
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

    Files get the rights that the process gives what it makes; some writers give theirs to their owner alone. To a
    `target` in a store they are copied.

    Raises:
        OSError: the disk does not take it, or `target` is a folder with content.
    """
    if isinstance(target, RemotePath):
        _upload(staging, target)
        return
    rights = 0o666 & ~_umask()
    for path in (*staging.rglob("*"), staging):
        if path.is_file():
            path.chmod(rights)
        _sync(path)
    move(staging, target)


def _upload(staging: Path, target: RemotePath) -> None:
    files, own = file_hashes(staging), uuid4().hex
    for name in files:
        _below(target, own, name).upload(staging / name)
    if not _below(target, WHOLE).create(json.dumps({"at": own, "files": files}, indent=2).encode()):
        _below(target, own).remove()
        raise FileExistsError(f"{target} is there already")


def whole_folders(parent: Path, pattern: str) -> list[Path]:
    """List the folders in `parent` whose names match, in order; in a store those that are whole."""
    if isinstance(parent, RemotePath):
        return sorted(path.parent for path in parent.glob(f"{pattern}/{WHOLE}"))
    return sorted(parent.glob(pattern))


def unfinished(parent: RemotePath) -> Iterator[Path]:
    """Yield what killed writers left of folders in `parent`: all that `WHOLE` does not name, or that has none."""
    for folder in (path for path in parent.iterdir() if path.is_dir()):
        if not is_whole(folder):
            yield folder
            continue
        own = json.loads((folder / WHOLE).read_bytes())["at"]
        yield from (path for path in folder.iterdir() if path.name not in {WHOLE, own})


def whole_at(folder: Path) -> Path:
    """Return where the files of a whole folder lie: in it, or in a store below it, under a name of their own."""
    if not isinstance(folder, RemotePath):
        return folder
    return _below(folder, str(json.loads((folder / WHOLE).read_bytes())["at"]))


def is_whole(folder: Path) -> bool:
    """Return whether there is a folder; in a store, a whole one."""
    return (folder / WHOLE).is_file() if isinstance(folder, RemotePath) else folder.is_dir()


def local_folder(folder: Path) -> Path:
    """Return `folder`, or where what lies in a store is copied to, once: its own place in `cache_folder`.

    Raises:
        FileNotFoundError: there is no such folder in the store.
        OSError: a file of it is missing or another one, or the disk does not take it.
    """
    if not isinstance(folder, RemotePath):
        return folder
    content = (folder / WHOLE).read_bytes()
    whole = json.loads(content)
    target = _copy_of(folder) / str(whole["at"])
    with held(target):
        if not target.is_dir():
            with atomic_folder(target, target.with_name(f".staging-{target.name}")) as staging:
                for name, digest in whole["files"].items():
                    (staging / name).parent.mkdir(parents=True, exist_ok=True)
                    if _below(folder, whole["at"], name).download(staging / name) != digest:
                        raise OSError(f"{folder / whole['at'] / name} is not the file that was written")
    return target


def cache_folder() -> Path:
    """Return the folder of copies of what lies in stores: `CAMOE_CACHE`, else `~/.cache/camoe`."""
    return Path(os.environ.get(CACHE) or Path.home() / ".cache" / "camoe")


def _copy_of(folder: RemotePath) -> Path:
    return cache_folder().joinpath("folders", *str(folder).partition("://")[2].split("/"))


def _below(folder: RemotePath, *parts: str) -> RemotePath:
    return folder.joinpath(*parts)


def remove_folder(path: Path, whole: str = WHOLE) -> None:
    """Remove a folder; renamed first, so that one that is half removed does not look like a whole one.

    In a store the object goes first that makes it `whole`.
    """
    if isinstance(path, RemotePath):
        _below(path, whole).unlink(missing_ok=True)
        path.remove()
        shutil.rmtree(_copy_of(path), ignore_errors=True)
        return
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
