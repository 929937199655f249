"""Small files that are either the old content or the new one, never between."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TEMPORARY = re.compile(r"\..+\.(json|html|md|png)\.\d+")


def write_text(path: Path, text: str) -> None:
    """Write through a temporary file beside `path`, synced, then renamed over it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def is_temporary(path: Path) -> bool:
    """Whether `path` is named as the temporary files of `write_text` are, one of which a killed process may leave."""
    return TEMPORARY.fullmatch(path.name) is not None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `content` as indented JSON, atomically; values JSON does not know are written as text.

    Raises:
        ValueError: a number is not finite, which other readers of JSON refuse; None is what to write.
    """
    write_text(path, json.dumps(content, indent=2, default=str, allow_nan=False) + "\n")
