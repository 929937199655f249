"""A bundle of a model that nobody trained, over the small pipeline's training table: enough to score with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import load
from camoe.contracts.snapshot import Snapshot, pin
from camoe.metrics.platt import Platt
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import Moments
from camoe.train.spec import model_spec
from tests.train.pipeline import write_pipeline

ROWS = {"s0": 331, "s1": 203, "s2": 70}
DAYS = (date(2026, 1, 3), date(2026, 1, 4))
METRICS = {
    "epochs": [{"validation_ne": [0.9, None]}],
    "parameters": 1,
    "refit": [],
    "data": {
        "train_days": ["2026-01-01", "2026-01-02"],
        "validation_days": ["2026-01-03"],
        "labels_as_of": "t",
        "labels_late": [],
        "train_rows": 1,
        "validation_rows": 1,
    },
    "learning": {"mask": True, "negatives": {}},
    "validation": [],
}
CALIBRATION = {
    "audio": Platt(slope=0.7, intercept=-0.4, rows=900, positives=90),
    "video": Platt(rows=900, positives=3, reason="3 rows of the rarer label, fewer than 50"),
    "finish": Platt(slope=1.2, intercept=0.1, rows=300, positives=90),
}

# Heads that select by the value of a column.
BY_GENRE = {
    "column": "genre",
    "heads": [
        {"name": "audio", "objective": "click", "where": {"genre": ["b", "d"]}},
        {"name": "video", "objective": "click"},
    ],
}


@dataclass(frozen=True)
class Pipeline:
    """The configuration and its folder of bundle and training table."""

    path: Path
    config: Config

    @property
    def bundle(self) -> Path:
        return self.config.layout.bundle

    @property
    def snapshot(self) -> Snapshot:
        return pin(self.config.layout.training)


def write_scorable(folder: Path, **sections: Any) -> Pipeline:
    """Training table, encoder, record and bundle under `folder`; `sections` replace those of the configuration."""
    path = write_pipeline(folder, ROWS, **sections)
    config = load(path, Config)
    encoder = encoders.read(config.layout.encoder)
    spec = model_spec(config.model, config.model_features, config.heads, config.slots, encoder)
    torch.manual_seed(3)
    model = Camoe(spec, (Moments(3.0, 1.0),))
    # Weights as they start give every row about the same prediction; these tell rows apart.
    torch.nn.init.normal_(model.embedding.table.weight)
    origin = Origin(pin(config.layout.training), encoder, config)
    write_bundle(config.layout.bundle, model, spec, origin, METRICS, calibration=CALIBRATION, keep=1)
    return Pipeline(path, config)
