"""Random numbers as hashes: the same keys give the same number, whatever else is simulated (common random numbers)."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Constants of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
TO_UNIT = 2.0**-53


def uniform(salt: str, *keys: npt.ArrayLike) -> Floats:
    """Draw uniformly on [0, 1) for each row of the integer `keys`, which are broadcast against each other."""
    state = np.array(int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big"), dtype=np.uint64)
    for key in keys:
        state = _mixed(state ^ _mixed(np.asarray(key).astype(np.uint64)))
    values: Floats = (state >> np.uint64(11)).astype(np.float64) * TO_UNIT
    return values


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        mixed = state + STEP
        mixed = (mixed ^ (mixed >> np.uint64(30))) * FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * SECOND
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))
