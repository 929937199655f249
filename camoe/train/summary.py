"""What a training came to: its rows counted and checked, and lines for the terminal."""

from __future__ import annotations

import json

from camoe.bundle.manifest import METRICS, open_bundle
from camoe.bundle.versions import named_by
from camoe.contracts.layout import Layout
from camoe.contracts.places.counts import record, require_equal
from camoe.metrics.table import MODEL_RAW


def recorded(layout: Layout, seconds: float) -> str:
    """Record the rows of the newest bundle's training, which took `seconds`, in the counts; return what came out.

    Raises:
        CountError: an epoch had other rows than were planned.
    """
    bundle = open_bundle(named_by(layout.bundle))
    metrics = json.loads(bundle.read(METRICS))
    best, parts = metrics["best"], (metrics, *metrics["members"], *metrics["refit"])
    for epoch in (epoch for part in parts for epoch in part["epochs"]):
        require_equal(f"rows trained in epoch {epoch['epoch']}", epoch["planned"], epoch["rows"])
    record(
        layout.counts,
        "train",
        {
            "rows_planned_per_epoch": metrics["epochs"][0]["planned"],
            "epochs": len(metrics["epochs"]),
            "rows_trained_per_epoch": [epoch["rows"] for epoch in metrics["epochs"]],
            "validation_rows": metrics["data"]["validation_rows"],
        },
    )
    heads = [row for row in metrics["validation"] if (row["group_kind"], row["predictor"]) == ("head", MODEL_RAW)]
    entropies = ", ".join(f"{row['head']} {row['ne']:.4f}" for row in heads if row["ne"])
    return (
        f"train: validation NE {entropies}\n"
        f"train: model {bundle.manifest.model_version}, best after {best['steps']} steps, took {seconds:.0f} s"
    )
