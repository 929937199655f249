"""Hashes by which files, tables and settings name their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path


def short_hash(text: str, digits: int = 16) -> str:
    """Return the first hex `digits` of the SHA-256 over `text` as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash every file under `folder`: SHA-256 by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _digest(path) for path in files}


def changed_files(folder: Path, written: Mapping[str, str]) -> list[str]:
    """Name the files under `folder` that are missing or not those of the hashes `written`, in order."""
    found = file_hashes(folder)
    return sorted(name for name, digest in written.items() if found.get(name) != digest)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
