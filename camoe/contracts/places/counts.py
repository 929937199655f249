"""counts.json: the rows of every stage, and the sums that must hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camoe.contracts.errors import CamoeError, error_text
from camoe.contracts.files import as_json, updated


class CountError(CamoeError):
    """Rows went missing or appeared between two points that must agree."""


def require_equal(what: str, expected: int, found: int) -> None:
    """Raise `CountError` when two row counts differ."""
    if expected != found:
        raise CountError(f"{what}: expected {expected:,} rows, found {found:,}; do not use what was written after it")


def record(path: Path, stage: str, counts: Mapping[str, Any]) -> None:
    """Put one stage's counts into the file at `path`, keeping the other stages', also of one that ends just now."""
    updated(path, lambda before: as_json({**_read(path, before), stage: dict(counts)}))


def require_readable(path: Path) -> None:
    """Raise `CountError` when the file at `path` is damaged, before anything is done that it is to tell of."""
    _stages(path)


def recorded(path: Path, stage: str) -> Mapping[str, Any]:
    """Return one stage's counts in the file at `path`; empty when there are none."""
    found: Mapping[str, Any] = _stages(path).get(stage, {})
    return found


def _stages(path: Path) -> dict[str, Any]:
    return _read(path, path.read_bytes() if path.exists() else None)


def _read(path: Path, content: bytes | None) -> dict[str, Any]:
    if content is None:
        return {}
    try:
        stages = json.loads(content)
    except ValueError as error:
        raise CountError(
            f"{path} is damaged ({error_text(error)}); remove it: it holds what stages have told"
        ) from None
    if not isinstance(stages, dict):
        raise CountError(f"{path} is damaged (it holds no stages); remove it: it holds what stages have told")
    return stages
