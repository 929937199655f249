"""A tiny finished run: Delta training and predictions tables, truth and manifest, written as the contract says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from deltalake import write_deltalake

from camoe.bundle.manifest import Manifest, write_manifest
from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import Encoder
from camoe.contracts.runs import RunRecord, write_record

SLOTS = ({"a1": "audio"}, {"a2": "audio"}, {"v1": "video"}, {"v2": "video"})
RATES = {"a1": 0.02, "a2": 0.05, "v1": 0.3}  # v2 is in the catalogue and never shown
FIRST = date(2026, 3, 2)
TEST = FIRST + timedelta(days=3)
VERSION = "aaaaaaaaaa01"
COUNTRIES = ("se", "no")


def tree(out: Path) -> dict[str, Any]:
    """The configuration of the run: two days of training, one of validation, one of test."""
    slots = [{"id": slot, "name": slot.upper(), "modality": kind} for entry in SLOTS for slot, kind in entry.items()]
    columns = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
    return {
        "out": str(out),
        "slots": {"slots": slots},
        "heads": {"heads": [{"name": "everything", "objective": "click"}]},
        "sources": {
            "impressions": {"path": "x", "columns": columns, "labels": {"click": "click"}},
            "objectives": {"click": {}},
        },
        "features": {
            "categorical": [{"name": "country", "sql": "country"}],
            "numeric": [{"name": "x", "sql": "x"}],
        },
        "days": {
            "train": {"first": FIRST, "last": FIRST + timedelta(days=1)},
            "validation": {"first": FIRST + timedelta(days=2), "last": FIRST + timedelta(days=2)},
            "test": {"first": TEST, "last": TEST},
        },
        "evaluation": {
            "user_buckets": 10,
            "bootstrap": 30,
            "ece_bins": 5,
            "fields": [
                {"name": "campaign_id"},
                {"name": "user_seen", "histograms": True},
                {"name": "country", "histograms": True},
            ],
        },
    }


def impressions(rows_a_day: int = 400, users: int = 60) -> pd.DataFrame:
    """Four days of impressions with their true probability; a few labels of the test day are unknown."""
    rng = np.random.default_rng(7)
    rows = rows_a_day * 4
    frame = pd.DataFrame(
        {
            "impression_id": [f"i{row}" for row in range(rows)],
            "user_id": [f"u{user}" for user in rng.integers(0, users, rows)],
            "campaign_id": "c",
            "date": [FIRST + timedelta(days=row // rows_a_day) for row in range(rows)],
            "slot": rng.choice(list(RATES), rows),
        }
    )
    frame["modality"] = frame["slot"].map({slot: kind for entry in SLOTS for slot, kind in entry.items()})
    odds: pd.Series[float] = frame["slot"].map(RATES) * np.exp(rng.normal(0, 1, rows))
    frame["truth"] = odds / (1 + odds)
    frame["click"] = rng.random(rows) < frame["truth"]
    frame["label_click"] = frame.pop("click").astype("Int32").mask((frame["date"] == TEST) & (rng.random(rows) < 0.05))
    # Missing, not in the vocabulary, and those of `COUNTRIES`.
    return frame.assign(cat_country=rng.integers(0, 4, rows).astype("int32"), run_id="built")


COLUMNS = ["impression_id", "user_id", "campaign_id", "date", "slot", "modality"]
TRAINED = [*COLUMNS, "cat_country", "run_id"]
PARTITIONS = ["modality", "slot", "date"]


def write_run(out: Path, frame: pd.DataFrame, *, truth: bool, power: float) -> None:
    """Write all inputs of the evaluation job under `out`: p is the truth, p_raw the truth to a power."""
    trained = [*TRAINED, *frame.filter(like="target_").columns]
    rows = table_of(frame[[*trained, "label_click"]])
    # A later version of the table, with other labels: the evaluation must read the one that was scored.
    other_labels = table_of(frame[[*trained, "label_click"]].assign(label_click=1 - frame["label_click"]))
    for version in (rows, other_labels):
        write_deltalake(out / "training", version, partition_by=PARTITIONS, mode="overwrite")
    scored = predicted(frame, power)
    both = pd.concat([scored, scored.assign(p=0.5, model_version="m0")])
    write_deltalake(out / "predictions", table_of(both), partition_by=[*PARTITIONS, "model_version"])
    if truth:
        write_truth(out, frame)
    write_bundle(out)
    encoders.write(Encoder(1, {"country": COUNTRIES}), out / "encoder")
    now, days = datetime(2026, 3, 9, tzinfo=UTC), {day: dict[str, int]() for day in frame["date"].unique()}
    record = RunRecord(
        run_id="built", built=now, settings_hash="0", input="raw", as_of=now, encoder_version=1, days=days
    )
    write_record(record, out / "runs")
    (out / "run.yaml").write_text(yaml.safe_dump(tree(out)))


def predicted(frame: pd.DataFrame, power: float) -> pd.DataFrame:
    """Return the predictions of the test day: p is the truth, p_raw the truth to a power."""
    test = frame[frame["date"] == TEST]
    return test[COLUMNS].assign(
        p=test["truth"],
        p_raw=test["truth"] ** power,
        objective="click",
        head="everything",
        model_version=VERSION,
        snapshot_version=0,
        scored_at=datetime.now(UTC),
    )


def table_of(frame: pd.DataFrame) -> pa.Table:
    """Return the rows as an Arrow table."""
    return pa.Table.from_pandas(frame, preserve_index=False)


def write_truth(out: Path, frame: pd.DataFrame) -> None:
    """Write the true probability of each impression under `out`."""
    rows = frame.assign(objective="click", p=frame["truth"])[["impression_id", "objective", "p"]]
    (out / "truth").mkdir(parents=True)
    pq.write_table(table_of(rows), out / "truth/part-0.parquet")


def write_bundle(out: Path) -> None:
    """The manifest of a bundle under `out`; the evaluation reads nothing else of it."""
    parts: dict[str, Any] = {
        "code_version": "0",
        "table": "training",
        "table_version": 0,
        "snapshot_hash": "s",
        "encoder_version": 1,
    }
    hashes: dict[str, Any] = {"feature_schema_hash": "f", "config_hash": "c", "files": {}}
    write_manifest(out / "bundle", Manifest(model_version=VERSION, **parts, **hashes))


def numbers(document: Any, name: str = "") -> dict[str, float]:
    """The numbers of a document by where they stand; texts and what is null as well, as a number each."""
    if isinstance(document, dict):
        document = list(document.items())
    if not isinstance(document, list | tuple):
        return {name: document} if isinstance(document, int | float) else {f"{name}={document}": 0}
    parts = (numbers(part, f"{name}.{place}") for place, part in enumerate(document))
    return {key: value for part in parts for key, value in part.items()}
