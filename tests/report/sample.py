"""A metrics document of seven slots without Spark: simulated clicks, an imperfect model, one slot without a click."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from camoe.config.pipeline import Config
from camoe.evaluation.document import metrics_document
from camoe.evaluation.evaluate import Evaluation
from camoe.evaluation.figures import Asked, Kept, group_figures
from camoe.metrics.histogram import Histogram
from camoe.metrics.state import State, add_states
from camoe.metrics.table import ALL

FIRST = date(2026, 3, 2)
SLOTS = {
    "stream_audio": ("Stream Audio", "audio", 0.006, 30_000),
    "podcast_audio": ("Podcast Audio", "audio", 0.009, 12_000),
    "npv_display": ("Now-Playing Display", "audio", 0.02, 9_000),
    "podcast_display": ("Podcast Display", "audio", 0.015, 3_000),
    "stream_video": ("Stream Video", "video", 0.08, 6_000),
    "podcast_video": ("Podcast Video", "video", 0.06, 1_500),
    "embedded_music": ("Embedded Music", "video", 0.04, 60),
}
SILENT = "embedded_music"
VERSION = "20260311-ab12cd34"


def config(out: Path) -> Config:
    """A configuration with the seven slots and two heads."""
    columns = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
    spans = {"train": (0, 7), "validation": (8, 8), "test": (9, 9)}
    return Config.model_validate(
        {
            "out": out,
            "slots": {"slots": [{"id": slot, "name": s[0], "modality": s[1]} for slot, s in SLOTS.items()]},
            "heads": {
                "heads": [{"name": m, "objective": "click", "where": {"modality": [m]}} for m in ("audio", "video")]
            },
            "sources": {
                "impressions": {"path": "x", "columns": columns, "labels": {"click": "click"}},
                "objectives": {"click": {}},
            },
            "features": {"numeric": [{"name": "x", "sql": "x"}]},
            "days": {
                name: {"first": FIRST + timedelta(days=first), "last": FIRST + timedelta(days=last)}
                for name, (first, last) in spans.items()
            },
            "evaluation": {"bootstrap": 50},
        }
    )


def document(out: Path, *, truth: bool) -> dict[str, Any]:
    """metrics.json of a simulated test day."""
    made = config(out)
    names = ("base_rate", "slot_rate", "model") + (("truth",) if truth else ())
    by_slot = {slot: _slot_states(slot, made.evaluation.user_buckets) for slot in SLOTS}
    asked = Asked(VERSION, names, (), made.evaluation)
    figures = []
    for kind, group, members in _groups():
        kept = [
            Kept(VERSION, name, FIRST + timedelta(days=9), add_states([by_slot[slot][name] for slot in members]))
            for name in names
        ]
        figures.append(group_figures("click", kind, group, kept, asked))
    rows = sum(about[3] for about in SLOTS.values())
    counts = {"predictions": rows, "evaluated": rows, "label_unknown": 0}
    return metrics_document(made, Evaluation(tuple(figures), names, 3, counts), VERSION)


def _groups() -> Iterator[tuple[str, str, list[str]]]:
    yield from (("slot", slot, [slot]) for slot in SLOTS)
    for modality in ("audio", "video"):
        yield from (
            (kind, modality, [slot for slot in SLOTS if SLOTS[slot][1] == modality]) for kind in ("modality", "head")
        )
    yield ALL, ALL, list(SLOTS)


def _slot_states(slot: str, buckets: int) -> dict[str, State]:
    _, modality, rate, rows = SLOTS[slot]
    rng = np.random.default_rng(len(slot))
    user = rng.integers(0, 4_000, rows)
    logit = np.log(rate) + rng.normal(0, 1.0, rows)
    truth = 1 / (1 + np.exp(-logit))
    model = 1 / (1 + np.exp(-(logit + rng.normal(0.05, 0.5, rows))))
    click = (rng.random(rows) < truth) & (slot != SILENT)
    base = {"audio": 0.012, "video": 0.1}[modality]
    predictions = {
        "base_rate": np.full(rows, base),
        "slot_rate": np.full(rows, rate * 1.5),
        "model": model,
        "truth": truth,
    }
    return {name: State.of(Histogram.from_rows(p, click, user % buckets, buckets)) for name, p in predictions.items()}
