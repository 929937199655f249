"""A states table written without Spark: what an evaluation keeps of models whose predictions are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake

from camoe.contracts.schema import STATE_PARTITIONS
from camoe.metrics.histogram import Histogram
from camoe.metrics.state import State

BUCKETS = 20
ROWS = 4_000
SUMS = {"count": pa.int64(), "positives": pa.int64(), "p_sum": pa.float64(), "log_loss": pa.float64()}
BINS = pa.list_(pa.struct({"bin": pa.int32(), **SUMS}))
USERS = pa.list_(pa.struct({"bucket": pa.int32(), "bin": pa.int32(), **SUMS}))


def states_of(noise: Mapping[str, float], draw: int) -> dict[tuple[str, str], State]:
    """Return the states of two slots and of all rows, whose logits are off by so much `noise` each.

    Labels are the same for each `draw` of the noise.
    """
    random, errors = np.random.default_rng(5), np.random.default_rng(draw)
    found, parts = {}, []
    for slot in ("s0", "s1"):
        logit = random.normal(-1.5, 1.2, ROWS)
        label = (random.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(float)
        bucket, error = random.integers(0, BUCKETS, ROWS), errors.normal(size=ROWS)
        p = 1 / (1 + np.exp(-(logit + noise[slot] * error)))
        parts.append((p, label, bucket))
        found["slot", slot] = State.of(Histogram.from_rows(p, label, bucket, BUCKETS))
    p, label, bucket = (np.concatenate(of) for of in zip(*parts, strict=True))
    found["all", "all"] = State.of(Histogram.from_rows(p, label, bucket, BUCKETS))
    return found


def keep(path: Path, model: str, day: date, noise: Mapping[str, float], draw: int = 1) -> None:
    """Write the states of `model` on `day` to the table at `path`."""
    rows = [
        {
            "date": day,
            "model_version": model,
            "objective": "click",
            "group_kind": kind,
            "group": group,
            "predictor": "model",
            "snapshot_version": 0,
            "buckets": BUCKETS,
            "rows": state.whole.rows,
            "unknown": 0,
            "bins": _cells(state.bins, BINS),
            "users": _cells(state.users, USERS),
        }
        for (kind, group), state in states_of(noise, draw).items()
    ]
    kinds = {"bins": BINS, "users": USERS, "date": pa.date32()}
    columns = {name: pa.array([row[name] for row in rows], kinds.get(name)) for name in rows[0]}
    write_deltalake(path, pa.table(columns), mode="append", partition_by=list(STATE_PARTITIONS))


def _cells(histogram: Histogram | None, kind: pa.DataType) -> list[dict[str, float]]:
    names = [field.name for field in kind.value_type]
    return [
        dict(zip(names, cell, strict=True))
        for cell in zip(*(getattr(histogram, name).tolist() for name in names), strict=True)
    ]
