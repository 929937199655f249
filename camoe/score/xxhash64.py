"""XXH64 after its specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), as Spark applies it to a value."""

from __future__ import annotations

MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & MASK


def _round(accumulator: int, lane: int) -> int:
    return _rotate((accumulator + lane * P2) & MASK, 31) * P1 & MASK


def _lane(data: bytes, start: int, width: int) -> int:
    return int.from_bytes(data[start : start + width], "little")


def xxhash64(data: bytes, seed: int) -> int:
    """The hash of `data` as an unsigned 64-bit integer."""
    seed &= MASK
    at = 0
    if len(data) >= 32:
        lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        while at + 32 <= len(data):
            lanes = [_round(value, _lane(data, at + 8 * index, 8)) for index, value in enumerate(lanes)]
            at += 32
        result = sum(_rotate(value, bits) for value, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & MASK
        for value in lanes:
            result = ((result ^ _round(0, value)) * P1 + P4) & MASK
    else:
        result = (seed + P5) & MASK
    result = (result + len(data)) & MASK
    while at + 8 <= len(data):
        result = (_rotate(result ^ _round(0, _lane(data, at, 8)), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= len(data):
        result = (_rotate(result ^ (_lane(data, at, 4) * P1 & MASK), 23) * P2 + P3) & MASK
        at += 4
    for byte in data[at:]:
        result = _rotate(result ^ (byte * P5 & MASK), 11) * P1 & MASK
    result = ((result ^ (result >> 33)) * P2) & MASK
    result = ((result ^ (result >> 29)) * P3) & MASK
    return result ^ (result >> 32)


def spark_hash(seed: int, value: str) -> int:
    """What Spark's xxhash64(bigint seed, string value) gives: a signed 64-bit integer."""
    first = xxhash64(seed.to_bytes(8, "little", signed=True), 42)
    unsigned = xxhash64(value.encode(), first)
    return unsigned - 2**64 if unsigned >= 2**63 else unsigned
