"""Writes the report's files, each atomically."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from camoe.contracts.files import write_json, write_text
from camoe.contracts.layout import Layout
from camoe.report.page import render, summary_figure

SUMMARY_DPI = 150


def write_report(layout: Layout, document: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write metrics.json, index.html and summary.png (of the first objective) to the report's folder; their paths."""
    metrics, page, summary = (layout.report / name for name in ("metrics.json", "index.html", "summary.png"))
    write_json(metrics, document)
    write_text(page, render(document, read_json(layout.bundle / "metrics.json"), read_json(layout.counts)))
    _write_png(summary, summary_figure(document, next(iter(document["bar"]))))
    return metrics, page, summary


def read_json(path: Path) -> dict[str, Any]:
    """The mapping in the file at `path`, empty when there is no file."""
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def _write_png(path: Path, figure: Figure) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=SUMMARY_DPI)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(path)
