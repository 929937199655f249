"""What a finished chain of jobs has to show, whatever lake it began with."""

from __future__ import annotations

import json
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from camoe.config.pipeline import Config
from camoe.contracts.snapshot import pin
from camoe.stream.ledger import Ledger
from camoe.stream.planning.plan import make_plan
from camoe.stream.planning.world import World
from camoe.stream.reading.columns import model_columns
from camoe.stream.stream import ReadOptions, stream

FILES = (
    "encoder/v1/encoder.json",
    "bundle/manifest.json",
    "bundle/card.md",
    "report/index.html",
    "report/summary.png",
)
TABLES = ("training", "quarantine", "predictions")


def read(out: Path, name: str) -> Any:
    """Return the JSON document `name` of the chain's output."""
    return json.loads((out / name).read_text())


def require_counts(out: Path) -> None:
    """Check that the counts of all stages add up, and are those of the tables."""
    counts = read(out, "counts.json")
    built = counts["build_features"]
    parts = (built["excluded"], built["quarantined"])
    assert built["read"] == built["duplicates"] + built["written"] + sum(sum(part.values()) for part in parts)
    assert built["written"] == pin(out / "training").rows
    assert set(counts["train"]["rows_trained_per_epoch"]) == {counts["train"]["rows_planned_per_epoch"]}
    assert counts["score"]["rows_scored"] == counts["score"]["rows_of_the_days"] == pin(out / "predictions").rows


def require_each_impression_once(config: Config) -> None:
    """Check that three workers get each impression once, by the ids that lie in the files, read without the stream."""
    columns = model_columns(config.features, config.heads.objectives, keys=("impression_id",))
    plan = make_plan(pin(config.layout.training), seed=1, epoch=0, batch_size=2048, lanes=4)
    seen: Counter[str] = Counter()
    for rank in range(3):
        for block in stream(plan, columns, World(rank, 3), ReadOptions(), ledger=Ledger()):
            seen.update(block.keys[0].tolist())
    paths = [file.path for file in plan.snapshot.files]
    ids = chain.from_iterable(pq.ParquetFile(path).read(["impression_id"])[0].to_pylist() for path in paths)
    assert seen == Counter(ids)
    assert seen.total() == len(seen) == plan.rows


def require_files(out: Path) -> None:
    """Check that all lies where the README says."""
    assert not [name for name in TABLES if not (out / name / "_delta_log").is_dir()]
    assert not [name for name in FILES if not (out / name).is_file()]


def bar(out: Path) -> dict[str, dict[str, float]]:
    """Return the figures of the clicks by modality."""
    figures: dict[str, dict[str, float]] = read(out, "report/metrics.json")["bar"]["click"]
    return figures
