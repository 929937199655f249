"""A study on the small training table of the training tests: genres are liked the other way round in video."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.train.pipeline import write_pipeline

ROWS = {"s0": 600, "s1": 200, "s2": 400}
SINGLE = "heads={heads: [{name: all, objective: click}]}"
TWO = {"better": "two", "than": "one"}
CLAIMS = {
    "video": {"says": "Two heads rank better than one in video", **TWO, "groups": ["video"]},
    "both": {"says": "Two heads rank better than one in both", **TWO, "groups": ["audio", "video"]},
    "undominated": {"says": "Nothing beats two heads", "undominated": "two", "groups": ["audio", "video"]},
}
VARIANTS = {
    "two": {"title": "2 heads"},
    "one": {"title": "1 head", "overrides": [SINGLE]},
    "trees": {"title": "trees", "system": "lightgbm"},
}


def write_study(folder: Path, **changes: Any) -> Path:
    """Write the table and the file of a study in `folder`; `changes` are of the file's keys."""
    config = write_pipeline(folder, ROWS)
    learn = ["training.normalise=batch", "training.epochs=4", "training.batch_size=32", "training.tensorboard=false"]
    rates = ["training.learning_rate=0.01", "training.embedding_learning_rate=0.2"]
    content = {
        "out": str(folder / "study"), "base": {"config": str(config), "overrides": [*learn, *rates]}, "seeds": [1],
        "baseline": "one", "variants": VARIANTS, "claims": CLAIMS, "folds": {"main": {"lake": str(folder / "out")}},
        "pictures": [["audio", "video"]], **changes,
    }  # fmt: skip
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path
