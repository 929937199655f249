"""Hashes by which files, tables and settings name their content."""

from __future__ import annotations

import hashlib
from pathlib import Path


def short_hash(text: str, digits: int = 16) -> str:
    """Return the first hex `digits` of the SHA-256 over `text` as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash every file under `folder`: SHA-256 by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _digest(path) for path in files}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
