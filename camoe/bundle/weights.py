"""Places of the weights in a bundle's safetensors file: what needs one of them alone reads no other. Torch-free."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from camoe.bundle.manifest import CHANGED, TABLE, WEIGHTS, Bundle, broken


@dataclass(frozen=True)
class TensorPlace:
    """Where a float32 tensor of `shape` lies in a file: bytes from `begin`, `length` of them."""

    begin: int
    length: int
    shape: tuple[int, ...]


def table_places(file: BinaryIO) -> dict[str, TensorPlace]:
    """Return the places of the embedding tables in a safetensors file, one a member, by name; none of an empty one."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    found = {}
    for name, entry in json.loads(file.read(length)).items():
        if name.endswith(TABLE):
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            found[name] = TensorPlace(begin, end - begin, tuple(entry["shape"]))
    return {name: place for name, place in sorted(found.items()) if place.length}


class MappedTables(dict[str, npt.NDArray[np.float32]]):
    """Embedding tables `[V, D]` by name, mapped from a file: processes of a host share the pages.

    What is sent to another process is where the file lies; it is mapped there. `stamp` are its bytes and its time.

    Raises:
        BundleError: another file lies there, or none.
    """

    def __init__(self, path: Path, stamp: tuple[int, int], places: Mapping[str, TensorPlace]) -> None:
        self._made_of = path, stamp, dict(places)
        try:
            with path.open("rb") as file:
                if stamp_of(file) != stamp:
                    raise broken(path.parent, path.name, CHANGED)
                super().__init__(
                    {name: np.memmap(file, np.float32, "r", at.begin, at.shape) for name, at in places.items()}
                )
        except OSError as error:
            raise broken(path.parent, path.name, f"cannot be read ({error.strerror})") from None

    def __reduce__(self) -> tuple[type[MappedTables], tuple[Path, tuple[int, int], dict[str, TensorPlace]]]:
        return MappedTables, self._made_of


def stamp_of(file: BinaryIO) -> tuple[int, int]:
    """Return the bytes of an open file and the time at which it was written, in ns."""
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def embedding_tables(bundle: Bundle) -> MappedTables:
    """Map the embedding tables of `bundle`, of the very file that is checked for them.

    Raises:
        BundleError: it is not the file that training wrote.
    """
    path = bundle.folder / WEIGHTS
    with path.open("rb") as file:
        stamp = stamp_of(file)
        if hashlib.file_digest(file, "sha256").hexdigest() != bundle.manifest.files[WEIGHTS]:
            raise broken(bundle.folder, WEIGHTS, CHANGED)
        return MappedTables(path, stamp, table_places(file))
