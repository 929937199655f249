"""The model card: what the model is, what it learned from, what it is not for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from camoe.bundle.manifest import Manifest
from camoe.model.spec import ModelSpec


def model_card(manifest: Manifest, spec: ModelSpec, metrics: Mapping[str, Any]) -> str:
    """The card as Markdown; `metrics` is the bundle's metrics.json."""
    data = metrics["data"]
    best = metrics["epochs"][metrics["best_epoch"]]
    heads = [
        f"| {head.name} | {head.objective} | {ne if ne is not None else 'not known'} |"
        for head, ne in zip(spec.heads.heads, best["validation_ne"], strict=True)
    ]
    lines = [
        f"# Model {manifest.model_version}",
        "",
        f"{spec.model.summary} and {len(spec.heads.heads)} heads, "
        f"{metrics['parameters']:,} parameters, written by camoe {manifest.code_version}.",
        "",
        "## Data",
        f"- Table {manifest.table}, version {manifest.table_version}, file list {manifest.snapshot_hash}",
        f"- Training days {data['train_days'][0]} to {data['train_days'][-1]}: {data['train_rows']:,} impressions",
        f"- Validation days {data['validation_days'][0]} to {data['validation_days'][-1]}: "
        f"{data['validation_rows']:,} impressions",
        f"- Feature schema {manifest.feature_schema_hash}, encoder version {manifest.encoder_version}",
        "",
        "## Heads",
        "| head | objective | NE on the validation days |",
        "|---|---|---|",
        *heads,
        "",
        "The weights of the epoch with the best validation NE were kept, so these NEs are optimistic;",
        "the report on the test days is the fair one.",
        "",
        "## Limits",
        "- Made for ranking and pricing impressions of the slots above; other slots are refused.",
        "- Probabilities are not recalibrated: read NE and ECE per slot in the report before pricing with them.",
    ]
    return "\n".join(lines) + "\n"
