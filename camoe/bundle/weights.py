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


def place_of(file: BinaryIO, name: str) -> TensorPlace:
    """Return the place of the tensor `name` in a safetensors file."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    entry = json.loads(file.read(length))[name]
    begin, end = (8 + length + offset for offset in entry["data_offsets"])
    return TensorPlace(begin, end - begin, tuple(entry["shape"]))


def embedding_table(bundle: Bundle) -> npt.NDArray[np.float32]:
    """Map the embedding table `[V, D]` of `bundle`, of the very file that is checked for it.

    Raises:
        BundleError: it is not the file that training wrote.
    """
    with (bundle.folder / WEIGHTS).open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != bundle.manifest.files[WEIGHTS]:
            raise broken(bundle.folder, WEIGHTS, CHANGED)
        place = place_of(file, TABLE)
        if not place.length:
            return np.empty(place.shape, np.float32)
        return np.memmap(file, np.float32, "r", place.begin, place.shape)
