"""Files that are read more than once, or by what reads files of this machine alone: copied here where they are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from camoe.contracts.files import RemotePath
from camoe.contracts.places.store import PlaceError


@contextmanager
def nearby(files: Iterable[Path]) -> Iterator[list[Path]]:
    """Yield the files, each one in a store as a copy that goes when the block ends; `TMPDIR` says where it lies.

    Raises:
        PlaceError: one is not in the store, or the store does not give it.
    """
    with TemporaryDirectory(prefix="camoe-") as folder:
        yield [_copied(file, Path(folder, f"{number}-{file.name}")) for number, file in enumerate(files)]


def _copied(file: Path, target: Path) -> Path:
    if not isinstance(file, RemotePath):
        return file
    try:
        file.download(target)
    except FileNotFoundError:
        raise PlaceError(f"there is no {file}; look at the address") from None
    return target
