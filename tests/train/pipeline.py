"""A small pipeline whose training table is written without Spark: real Delta, a label that can be learned."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from deltalake import DeltaTable, Field, Schema, transaction
from deltalake.schema import ArrayType, PrimitiveType

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import load
from camoe.contracts.encoder import Encoder
from camoe.contracts.runs import RunRecord, write_record
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, RUN_ID, SLOTS_PROPERTY, label_column

FIRST_DAY = date(2026, 1, 1)
RUN = "first"
VALUES = tuple("abcdefgh")
TYPES = {
    "impression_id": "string", "user_id": "string", "campaign_id": "string", "run_id": "string", "cat_genre": "integer",
    "num_tenure": "float", "modality_id": "integer", "slot_id": "integer",
    "modality": "string", "slot": "string", "date": "date",
}  # fmt: skip
# What a teacher says; only training that has one reads it.
TARGETS = [{"name": "oof", "sql": "teacher.p"}]
TARGET = "target_oof"
# Lists of genres, which only features with a sequence read.
SEQUENCE, AGES = "seq_recent", "seq_recent_age"
LONGEST = 3
CONFIG: dict[str, Any] = {
    "slots": {
        "slots": [
            {"id": "s0", "name": "S0", "modality": "audio"},
            {"id": "s1", "name": "S1", "modality": "audio"},
            {"id": "s2", "name": "S2", "modality": "video"},
        ]
    },
    "heads": {
        "heads": [
            {"name": "audio", "objective": "click", "where": {"modality": ["audio"]}},
            {"name": "video", "objective": "click", "where": {"modality": ["video"]}},
        ]
    },
    "sources": {
        "impressions": {
            "path": "impressions",
            "columns": {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")},
            "labels": {"click": "click"},
        },
        "objectives": {"click": {}},
    },
    "features": {
        "categorical": [{"name": "genre", "sql": "genre"}],
        "numeric": [{"name": "tenure", "sql": "tenure", "transform": "log1p"}],
    },
    "days": {
        "train": {"first": "2026-01-01", "last": "2026-01-02"},
        "validation": {"first": "2026-01-03", "last": "2026-01-03"},
        "test": {"first": "2026-01-04", "last": "2026-01-04"},
    },
    "model": {"embedding_dim": 4, "experts": 2, "expert": {"hidden": [8, 4]}, "tower_hidden": [4]},
    "training": {"batch_size": 64, "epochs": 2, "dtype": "float64", "warmup_steps": 2},
}


def write_pipeline(folder: Path, rows: dict[str, int], row_group: int = 50, **sections: object) -> Path:
    """Write config, encoder and a four-day training table with `rows` per slot and day; returns the config's path.

    `sections` replace those of `CONFIG`.
    """
    config_path = folder / "pipeline.yaml"
    config_path.write_text(yaml.safe_dump({**CONFIG, **sections, "out": str(folder / "out")}))
    config = load(config_path, Config)
    encoders.write(Encoder(1, {"genre": VALUES}), config.layout.encoder)
    write_training_table(config, rows, row_group)
    write_record(record(config, rows), config.layout.runs)
    return config_path


def record(config: Config, rows: dict[str, int]) -> RunRecord:
    """Return the record of the run that would have built the table."""
    now = datetime(2026, 1, 6, tzinfo=UTC)
    days = {FIRST_DAY + timedelta(days=day): rows for day in range(4)}
    return RunRecord(
        run_id=RUN, built=now, settings_hash="0", input=str(config.raw), as_of=now, encoder_version=1, days=days
    )


def write_training_table(config: Config, rows: dict[str, int], row_group: int) -> None:
    """Write the Delta training table that the feature job would write."""
    root = config.layout.training
    labels = [label_column(objective) for objective in config.sources.objectives]
    random = np.random.default_rng(0)
    actions = []
    for slot in config.slots.slots:
        for day in range(4):
            when = (FIRST_DAY + timedelta(days=day)).isoformat()
            path = f"modality={slot.modality}/slot={slot.id}/date={when}/part-0.parquet"
            ids = config.slots.modality_id(slot.id), config.slots.slot_id(slot.id)
            table = _rows(random, f"{slot.id}-{when}", rows[slot.id], ids, labels)
            for number, name in enumerate(_more_numerics(config)):
                table = table.append_column(name, _numbers(number, day, table.num_rows))
            (root / path).parent.mkdir(parents=True)
            pq.write_table(table, root / path, row_group_size=row_group)
            actions.append(
                transaction.AddAction(
                    path=path,
                    size=(root / path).stat().st_size,
                    partition_values={"modality": slot.modality, "slot": slot.id, "date": when},
                    modification_time=0,
                    data_change=True,
                    stats=json.dumps(
                        {"numRecords": table.num_rows, "minValues": {RUN_ID: RUN}, "maxValues": {RUN_ID: RUN}}
                    ),
                )
            )
    transaction.create_table_with_add_actions(
        str(root),
        Schema(
            [
                Field(name, PrimitiveType(kind))
                for name, kind in [*TYPES.items(), *((label, "byte") for label in labels)]
            ]
            + [Field(SEQUENCE, ArrayType(PrimitiveType("integer"), contains_null=True))]
            + [Field(AGES, ArrayType(PrimitiveType("float"), contains_null=True))]
            + [Field(TARGET, PrimitiveType("float"))]
            + [Field(name, PrimitiveType("float")) for name in _more_numerics(config)]
        ),
        actions,
        partition_by=["modality", "slot", "date"],
    )
    properties = {
        FEATURE_SCHEMA_PROPERTY: config.features.schema_hash(),
        SLOTS_PROPERTY: config.slots.listing(),
    }
    DeltaTable(str(root)).alter.set_table_properties(properties, raise_if_not_exists=False)


def _more_numerics(config: Config) -> list[str]:
    return [name for name in config.features.numeric_columns if name not in TYPES]


def _numbers(number: int, day: int, rows: int) -> pa.Array:
    """Numbers of some size, each column's own, a fifth of them missing."""
    random = np.random.default_rng([number, day])
    return pa.array(random.normal(number, 2, rows).astype(np.float32), mask=random.random(rows) < 0.2)


def _rows(random: np.random.Generator, prefix: str, rows: int, ids: tuple[int, int], labels: list[str]) -> pa.Table:
    modality_id, slot_id = ids
    genre = random.integers(0, len(VALUES) + 2, rows)
    tenure = random.exponential(30, rows)
    rate = np.where(genre % 2 == 0, 0.2, 0.8) if modality_id else np.where(genre % 2 == 0, 0.6, 0.1)
    drawn = {label: pa.array((random.random(rows) < rate).astype(np.int8), mask=random.random(rows) < 0.05)
             for label in labels}  # fmt: skip
    return pa.table(
        {
            "impression_id": [f"{prefix}-{row}" for row in range(rows)],
            "user_id": [f"u{row % 17}" for row in range(rows)],
            "campaign_id": ["c"] * rows,
            RUN_ID: [RUN] * rows,
            "cat_genre": genre.astype(np.int32),
            SEQUENCE: pa.array([_recent(int(one), row) for row, one in enumerate(genre)], pa.list_(pa.int32())),
            AGES: pa.array([_ages(row) for row in range(rows)], pa.list_(pa.float32())),
            "num_tenure": pa.array(tenure.astype(np.float32), mask=random.random(rows) < 0.1),
            TARGET: pa.array(rate.astype(np.float32), mask=np.arange(rows) % 7 == 3),
            **drawn,
            "modality_id": np.full(rows, modality_id, dtype=np.int32),
            "slot_id": np.full(rows, slot_id, dtype=np.int32),
        }
    )


def _recent(genre: int, row: int) -> list[int]:
    """None to three genres, the row's own among them."""
    return [(genre + step) % (len(VALUES) + 2) for step in range(row % (LONGEST + 1))]


def _ages(row: int) -> list[float]:
    """Of as many elements, in log1p of seconds: hours and days, the newest last."""
    return [float(np.log1p(3600 * (1 + row % 30) * (back + 1))) for back in reversed(range(row % (LONGEST + 1)))]


def sequence_features(**change: object) -> dict[str, object]:
    """The features of `CONFIG` and a sequence of genres."""
    declared = {"name": "recent", "sql": "recent", "vocabulary": "genre", "max_length": LONGEST, **change}
    return {**CONFIG["features"], "sequence": [declared]}


def logged_features(**change: object) -> dict[str, object]:
    """The same with a sequence from the log, whose elements have ages."""
    history = {"since": "2026-01-01", "keys": {"user": {"by": ["user_id"], "make": []}}}
    return {**sequence_features(key="user", age=True, **change), "history": history}
