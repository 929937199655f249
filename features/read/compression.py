"""Compression of text files: what Spark reads, and what it would take for text, or for another compression."""

from __future__ import annotations

from pathlib import Path

from features.read.objects import opened

# First bytes of a file, by the compression that they tell.
FIRST_BYTES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"PK\x03\x04": "zip",
}
# Endings of names; Spark goes by these alone.
READ = {".gz": "gzip", ".bz2": "bzip2"}
NOT_READ = {
    ".zst",
    ".zstd",
    ".lz4",
    ".snappy",
    ".xz",
    ".7z",
    ".zip",
    ".deflate",
    ".lzo",
    ".br",
    ".z",
    ".tar",
    ".tgz",
    ".rar",
}
BLOCK_OF_BZIP2 = b"1AY&SY"


class UnfitError(ValueError):
    """A file is sound, but not such as Spark reads: says so, and what to do."""


def require_readable_text(file: Path) -> None:
    """Raise `UnfitError` unless Spark reads the file: plain text, or gzip and bzip2 under names that end so."""
    with opened(file) as stream:
        first = stream.read(16)
    kind = next((kind for begin, kind in FIRST_BYTES.items() if first.startswith(begin)), "")
    if kind == "bzip2" and first[4:10] != BLOCK_OF_BZIP2:
        kind = ""
    endings = [ending.lower() for ending in file.suffixes[-2:]]
    unread = next((ending for ending in endings if ending in NOT_READ), None)
    if unread is not None or (kind and kind not in READ.values()):
        raise UnfitError(
            f"is compressed as {kind or str(unread).removeprefix('.')}, which Spark does not read; give it as gzip "
            "(.gz), as bzip2 (.bz2) or as it is"
        )
    ending = next((ending for ending, read in READ.items() if read == kind), None)
    if ending is not None and endings[-1:] != [ending]:
        raise UnfitError(f"is compressed as {kind}, which Spark sees by the name alone; let it end in {ending}")
