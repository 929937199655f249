"""The hash by which the join names a key, told in Python."""

from __future__ import annotations

from camoe.score.xxhash64 import xxhash64


def spark_hash_of(key: str) -> int:
    """What Spark's xxhash64 of one string gives: a signed 64-bit integer."""
    unsigned = xxhash64(key.encode(), 42)
    return unsigned - 2**64 if unsigned >= 2**63 else unsigned
