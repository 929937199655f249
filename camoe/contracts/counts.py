"""counts.json: the rows of every stage, and the sums that must hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_json


class CountError(CamoeError):
    """Rows went missing or appeared between two points that must agree."""


def require_equal(what: str, expected: int, found: int) -> None:
    """Raise `CountError` when two row counts differ."""
    if expected != found:
        raise CountError(f"{what}: expected {expected:,} rows, found {found:,}; do not use what was written after it")


def record(path: Path, stage: str, counts: Mapping[str, Any]) -> None:
    """Put one stage's counts into the file at `path`, keeping the other stages'."""
    stages = json.loads(path.read_text()) if path.exists() else {}
    stages[stage] = dict(counts)
    write_json(path, stages)
