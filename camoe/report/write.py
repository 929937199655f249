"""Writes the report's files, each atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camoe.contracts.errors import InputError
from camoe.contracts.files import atomic_file, write_json, write_text
from camoe.contracts.layout import Layout
from camoe.report.page import render, summary_figure
from camoe.report.style import saved

SUMMARY_DPI = 150
METRICS = "metrics.json"


def write_report(layout: Layout, document: Mapping[str, Any], training: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write metrics.json, index.html and summary.png (of the first objective) to the report's folder; their paths.

    `training` is the bundle's metrics.json. All are made before the first is written: a failure leaves the former
    report as it was.

    Raises:
        InputError: counts.json is damaged.
    """
    metrics, page, summary = (layout.report / name for name in (METRICS, "index.html", "summary.png"))
    html = render(document, training, read_json(layout.counts))
    picture = saved(summary_figure(document, next(iter(document["bar"]))), format="png", dpi=SUMMARY_DPI)
    write_json(metrics, document)
    write_text(page, html)
    with atomic_file(summary) as temporary:
        temporary.write_bytes(picture)
    return metrics, page, summary


def replaced(layout: Layout, model_version: str) -> str | None:
    """Return the model that a report of `model_version` replaces: the former report's, or what that one replaced."""
    former = read_json(layout.report / METRICS).get("run", {})
    of = former.get("replaces" if former.get("model_version") == model_version else "model_version")
    return None if of is None else str(of)


def read_json(path: Path) -> dict[str, Any]:
    """Read the mapping in the file at `path`, empty when there is no file. Raises `InputError` when it is damaged."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); restore it, or run the job that writes it again") from None
