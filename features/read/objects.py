"""Objects of a store in the place of files: a path names one, whose copy lies at that path once a run has copied it.

Such a path lies below `Layout.copies` and the folder of a run there, at the object's bucket and name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from pyarrow.fs import FileType

from camoe.contracts.errors import InputError
from camoe.contracts.layout import COPIES
from camoe.contracts.places.store import Listed, PlaceError, open_place
from camoe.contracts.sources import Sources, Table
from camoe.contracts.storage import error_detail, open_storage, path_of, remedy

SCHEME = "s3://"
# Of a name on the disk.
MOST_BYTES = 255

T = TypeVar("T")
TableT = TypeVar("TableT", bound=Table)


def copy_of(place: Path | str, copies: Path) -> Path:
    """Return the path that stands for `place` below a run's folder of `copies`; a local path as it is."""
    if isinstance(place, str) and place.startswith(SCHEME):
        return copies / place.removeprefix(SCHEME)
    return Path(place)


def with_copies(sources: Sources, copies: Path) -> Sources:
    """Return the sources with paths in the place of addresses."""

    def local(table: TableT) -> TableT:
        # A path that is none of an address stays as it is written.
        path = str(copy_of(table.path, copies)) if table.path.startswith(SCHEME) else table.path
        return table.model_copy(update={"path": path})

    return sources.model_copy(
        update={
            "impressions": local(sources.impressions),
            "outcomes": sources.outcomes and local(sources.outcomes),
            "entities": {name: local(entity) for name, entity in sources.entities.items()},
        }
    )


def address_of(path: Path) -> str | None:
    """Return the address for which `path` stands; None of a local one."""
    if COPIES not in path.parts:
        return None
    below = path.parts[path.parts.index(COPIES) + 2 :]
    return SCHEME + "/".join(below) if below else None


def location_of(path: Path) -> str:
    """Return where the table lies for which `path` stands: at its address until it is copied."""
    address = address_of(path)
    return address if address is not None and not path.exists() else str(path.resolve())


def addressed(text: str, copies: Path) -> str:
    """Return a message with addresses in the place of the paths below a run's folder of `copies`."""
    # Spark's URIs have one slash or three.
    for place in (copies.as_uri(), f"file:{copies}", str(copies)):
        text = text.replace(f"{place}/", SCHEME)
    return text


def is_hidden(name: str) -> bool:
    """Return whether files and folders of this name are no data, such as _SUCCESS and .part.crc: Spark's own rule."""
    return name.startswith(".") or (name.startswith("_") and "=" not in name) or name.endswith("._COPYING_")


def exists(path: Path) -> bool:
    """Return whether a file or folder is there, or what stands for one in a store.

    Raises:
        PlaceError: the store does not say.
    """
    address = address_of(path)
    if path.exists() or address is None:
        return path.exists()
    found = asked(path, lambda: open_storage(address).filesystem.get_file_info(path_of(address)).type)
    return bool(found != FileType.NotFound)


def objects_at(what: str, address: str, *, hidden: bool = False) -> list[tuple[Listed, tuple[str, ...]]]:
    """Return the object at `address`, or those below it, each with the parts of its name from there on.

    Those under hidden names are left out unless they are asked for, and so are the marks of folders.

    Raises:
        InputError: an object has a name that no file could have; `what` names the table.
        PlaceError: the store does not list them.
    """
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    place = open_place(SCHEME + bucket)
    listed, own = place.listed(key), place.entry(key) if key else None
    if own and (own.size or not listed):
        listed.append(own)
    found = []
    for one in listed:
        # What a console makes for a folder is listed by the folder's name, and cannot be read by it.
        if one.size or place.entry(one.name):
            parts = tuple(one.name[len(key) :].lstrip("/").split("/")) if one.name != key else ()
            if hidden or not any(is_hidden(part) for part in parts):
                found.append((one, parts))
    _require_files(what, SCHEME + bucket, [one.name for one, _ in found])
    return found


def _require_files(what: str, bucket: str, names: list[str]) -> None:
    folders = {name.rsplit("/", depth)[0] for name in names for depth in range(1, name.count("/") + 1)}
    for name in names:
        parts = name.split("/")
        if name in folders or {"", ".", ".."} & set(parts) or max(len(part.encode()) for part in parts) > MOST_BYTES:
            raise InputError(
                f"{what}: no file could have the name of {bucket}/{name} beside the others (a part of it is empty, "
                "dots, too long, or a folder's name); give the object another one"
            )


def asked(path: Path, read: Callable[[], T]) -> T:
    """Return the result of `read`, which reads the file at `path`; lost connections to a store are tried again.

    Raises:
        PlaceError: the store does not give the object that the path stands for.
        Exception: what `read` raises.
    """
    address = address_of(path)
    if address is None or path.exists():
        return read()
    try:
        return open_storage(address).tried(read, address)
    except OSError as error:
        way = remedy(error)
        if way is None:
            raise
        raise PlaceError(f"{address} cannot be read ({error_detail(error)}); {way}") from None


def opened(path: Path) -> BinaryIO:
    """Open a file, or the object that it stands for."""
    address = address_of(path)
    if address is None or path.exists():
        return path.open("rb")
    return cast(BinaryIO, open_storage(address).filesystem.open_input_file(path_of(address)))


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of the object that it stands for."""
    with opened(path) as file:
        return file.seek(0, 2)
