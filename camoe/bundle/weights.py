"""Places of the weights in a bundle's safetensors file: what needs one of them alone reads no other. Torch-free."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
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


def embedding_tables(bundle: Bundle) -> dict[str, npt.NDArray[np.float32]]:
    """Map the embedding tables `[V, D]` of `bundle`, of the very file that is checked for them, by name.

    Raises:
        BundleError: it is not the file that training wrote.
    """
    with (bundle.folder / WEIGHTS).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != bundle.manifest.files[WEIGHTS]:
            raise broken(bundle.folder, WEIGHTS, CHANGED)
        return {
            name: np.memmap(file, np.float32, "r", place.begin, place.shape)
            for name, place in table_places(file).items()
        }
