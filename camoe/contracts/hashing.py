"""The short hash by which files, tables and settings name their content."""

from __future__ import annotations

import hashlib


def short_hash(text: str, digits: int = 16) -> str:
    """Return the first hex `digits` of the SHA-256 over `text` as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
