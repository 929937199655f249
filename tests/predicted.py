"""What a pipeline has predicted for its test days, read without Spark, and what it should have."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pyarrow.parquet as pq

from camoe.config.pipeline import Config
from camoe.contracts.snapshot import Snapshot, pin


def rows_of(snapshot: Snapshot) -> pd.DataFrame:
    """All rows, with the slot that each file is for."""
    parts: list[pd.DataFrame] = [
        pq.ParquetFile(file.path).read().to_pandas().assign(slot=file.slot) for file in snapshot.files
    ]
    return pd.concat(parts)


def predictions(config: Config) -> pd.DataFrame:
    """All predictions."""
    return rows_of(pin(config.layout.predictions))


def served(config: Config) -> dict[tuple[str, str], int]:
    """Rows by head and slot."""
    rows = predictions(config)
    return dict(Counter(zip(rows["head"], rows["slot"], strict=True)))


def expected(config: Config) -> dict[tuple[str, str], int]:
    """Rows by head and slot: every row of the test days by each head that owns its slot."""
    rows: Counter[str] = Counter()
    for file in pin(config.layout.training).on(config.days.test.days()).files:
        rows[file.slot] += file.rows
    owned = ((head.name, slot.id) for head in config.heads.heads for slot in config.slots.slots if head.owns(slot))
    return {(head, slot): rows[slot] for head, slot in owned if rows[slot]}
