"""A metrics document of seven slots without Spark: simulated clicks, imperfect models, one slot without a click."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camoe.config.pipeline import Config
from camoe.evaluation.document import metrics_document
from camoe.evaluation.evaluate import Evaluation
from camoe.evaluation.figures import Asked, Kept, group_figures
from camoe.evaluation.spark_figures import FieldSummary, chance_gap
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram, merge
from camoe.metrics.state import State
from camoe.metrics.table import ALL, MODEL

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
VERSION, OTHER = "20260311-ab12cd34", "20260304-99ff00aa"
# Values of fields: sums are kept of the first one, histograms of the second.
FIELDS = {
    "campaign_id": [f"campaign_{at:03}" for at in range(25)],
    "device": ["phone", "car", "television, living room"],
}


def config(out: Path, whole: bool = False) -> Config:
    """A configuration with the seven slots and two heads; the `whole` one with two test days and two fields."""
    columns = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
    spans = {"train": (0, 7), "validation": (8, 8), "test": (9, 9 + whole)}
    fields = [{"name": name, "histograms": name == "device"} for name in FIELDS if whole]
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
            "features": {"categorical": [{"name": "device", "sql": "device"}]},
            "days": {
                name: {"first": FIRST + timedelta(days=first), "last": FIRST + timedelta(days=last)}
                for name, (first, last) in spans.items()
            },
            "evaluation": {"bootstrap": 50, "fields": fields},
        }
    )


def document(out: Path, *, truth: bool, whole: bool = False) -> dict[str, Any]:
    """metrics.json of a simulated test day.

    The `whole` one has a second day, a model to be held against, and fields, so that all of the page is made.
    """
    made = config(out, whole)
    names = ("base_rate", "slot_rate", "model") + (("truth",) if truth else ())
    days = {day: _rows(number) for number, day in enumerate(made.days.test.days())}
    asked = Asked(VERSION, names, (OTHER,) if whole else (), made.evaluation)
    summed = [field.name for field in made.evaluation.fields if not field.histograms]
    figures, fields = [], []
    for kind, group in _groups(whole):
        kept = []
        for day, rows in days.items():
            own = rows if kind == ALL else rows[rows[kind] == group]
            columns = [(VERSION, name, name) for name in names if kind not in summed or name == MODEL]
            for version, name, column in [*columns, *((other, MODEL, "other") for other in asked.against)]:
                kept.append(Kept(version, name, day, _state(own, column, made.evaluation, kind in summed)))
        figures.append(group_figures("click", kind, group, kept, asked))
    rows = pd.concat(days.values())
    for field in FIELDS if whole else ():
        fields.append(_summary(rows, field))
    counts = {"predictions": len(rows), "evaluated": len(rows), "label_unknown": 0}
    evaluation = Evaluation(tuple(figures), names, 3, counts, tuple(fields))
    return metrics_document(made, evaluation, VERSION, asked.against)


def _groups(whole: bool) -> Iterator[tuple[str, str]]:
    yield from (("slot", slot) for slot in SLOTS)
    yield from ((kind, modality) for modality in ("audio", "video") for kind in ("modality", "head"))
    yield ALL, ALL
    yield from ((field, value) for field, values in FIELDS.items() if whole for value in values)


def _rows(day: int) -> pd.DataFrame:
    return pd.concat([_slot_rows(slot, day) for slot in SLOTS], ignore_index=True)


def _slot_rows(slot: str, day: int) -> pd.DataFrame:
    """Return the impressions of a slot: what is known of them, clicks, and a column of probabilities a predictor."""
    _, modality, rate, rows = SLOTS[slot]
    rng = np.random.default_rng([len(slot), day] if day else len(slot))
    user = rng.integers(0, 4_000, rows)
    logit = np.log(rate) + rng.normal(0, 1.0, rows)
    truth = 1 / (1 + np.exp(-logit))
    model = 1 / (1 + np.exp(-(logit + rng.normal(0.05, 0.5, rows))))
    click = (rng.random(rows) < truth) & (slot != SILENT)
    known = {"slot": slot, "modality": modality, "head": modality, "user": user, "click": click}
    groups = {name: rng.choice(values, rows) for name, values in FIELDS.items()}
    predictions = {
        "base_rate": {"audio": 0.012, "video": 0.1}[modality],
        "slot_rate": rate * 1.5,
        "model": model,
        "truth": truth,
        "other": 1 / (1 + np.exp(-(logit + rng.normal(0.2, 0.9, rows)))),
    }
    return pd.DataFrame({**known, **groups, **predictions})


def _state(rows: pd.DataFrame, column: str, settings: EvaluationConfig, summed: bool) -> State:
    buckets = settings.field_buckets if summed else settings.user_buckets
    full = Histogram.from_rows(rows[column], rows["click"], rows["user"] % buckets, buckets)
    return State(None, merge([replace(full, bin=np.zeros_like(full.bin))], buckets)) if summed else State.of(full)


def _summary(rows: pd.DataFrame, field: str) -> FieldSummary:
    of = rows.groupby(field).agg(n=("click", "size"), clicks=("click", "sum"), predicted=("model", "sum"))
    gaps, floor = (of["predicted"] - of["clicks"]).abs(), chance_gap(of["n"].to_numpy(), of["predicted"].to_numpy())
    return FieldSummary(
        "click", field, len(of), len(rows), int(of["clicks"].sum()), gaps.sum() / len(rows), floor.sum() / len(rows)
    )
