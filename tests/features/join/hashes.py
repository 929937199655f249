"""The hash by which the join names a key, told in Python."""

from __future__ import annotations

from xxhash import xxh64_digest


def spark_hash_of(key: str) -> int:
    """Return what Spark's xxhash64 of one string gives: a signed 64-bit integer."""
    return int.from_bytes(xxh64_digest(key.encode(), seed=42), "big", signed=True)
