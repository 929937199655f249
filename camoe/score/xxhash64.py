"""Spark's XXH64 of a value, without Spark."""

from __future__ import annotations

from xxhash import xxh64_digest, xxh64_intdigest

# With which Spark hashes the first of several values; the hash of each is the seed of the next.
FIRST_SEED = 42


def spark_hash(seed: int, value: str) -> int:
    """Return what Spark's `xxhash64(bigint seed, string value)` gives: a signed 64-bit integer."""
    first = xxh64_intdigest(seed.to_bytes(8, "little", signed=True), seed=FIRST_SEED)
    return int.from_bytes(xxh64_digest(value.encode(), seed=first), "big", signed=True)
