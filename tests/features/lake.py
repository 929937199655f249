"""A small raw lake as JSON lines, its configuration, and the feature job run on it in this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pyspark.sql import Row, SparkSession

from camoe.contracts.layout import Layout
from jobs.build_features import main
from tests.jobs.in_process import run_main

Rows = Sequence[Mapping[str, object]]
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")
ROWS_A_DAY = 30


def config(folder: Path) -> dict[str, Any]:
    """The pipeline's settings as one mapping."""
    return {
        "out": str(folder / "out"),
        "input": str(folder / "raw"),
        "rows_per_file": 6,
        "slots": {
            "slots": [
                {"id": "feed", "name": "Feed", "modality": "video"},
                {"id": "break", "name": "Break", "modality": "audio"},
            ]
        },
        "heads": {"heads": [{"name": "all", "objective": "click"}]},
        "sources": {
            "impressions": {
                "path": "impressions.json",
                "format": "json",
                "columns": {
                    "impression_id": "id",
                    "user_id": "user",
                    "campaign_id": "campaign",
                    "slot": "slot",
                    "ts": "ts",
                },
                "exclude": [{"name": "house_ads", "where": "campaign_id = 'house'"}],
            },
            "outcomes": {
                "path": "outcomes.json",
                "format": "json",
                "columns": {"impression_id": "id", "objective": "kind", "ts": "ts"},
            },
            "entities": {
                "user": {
                    "path": "users.json",
                    "format": "json",
                    "key": "user_id",
                    "columns": {"user_id": "user", "ts": "ts", "plan": "plan", "plays": "plays"},
                },
                "campaign": {
                    "path": "campaigns.json",
                    "format": "json",
                    "key": "campaign_id",
                    "columns": {"campaign_id": "campaign", "advertiser": "advertiser"},
                },
            },
            "objectives": {"click": {"window_s": 3600}},
            "max_quarantined": 0.2,
        },
        "features": {
            "categorical": [
                {"name": "slot", "sql": "slot"},
                {"name": "plan", "sql": "user.plan"},
                {"name": "advertiser", "sql": "campaign.advertiser", "min_count": 2},
                {"name": "hour", "sql": "hour(local_ts)"},
            ],
            "numeric": [{"name": "plays", "sql": "user.plays"}, {"name": "age", "sql": "user.age_s"}],
            "targets": [{"name": "oof", "sql": "user.plays / 10.0"}],
        },
        "days": {
            "zone": "Europe/Stockholm",
            "train": {"first": DAYS[0], "last": DAYS[1]},
            "validation": {"first": DAYS[2], "last": DAYS[2]},
            "test": {"first": DAYS[3], "last": DAYS[3]},
        },
    }


def impressions() -> list[dict[str, str]]:
    """Thirty clean impressions a day, ten of them in the slot 'break'."""
    rows = []
    for day, text in enumerate(DAYS):
        noon = datetime.fromisoformat(text) + timedelta(hours=12)
        for number in range(ROWS_A_DAY):
            rows.append(
                {
                    "id": f"i{day}-{number}",
                    "user": f"u{number % 7}",
                    "campaign": f"c{number % 3}",
                    "slot": "break" if number % 3 == 0 else "feed",
                    "ts": (noon + timedelta(minutes=number)).isoformat(),
                }
            )
    return rows


def outcomes() -> list[dict[str, str]]:
    """A click on every fifth impression, two minutes after it."""
    return [
        {"id": row["id"], "kind": "click", "ts": (datetime.fromisoformat(row["ts"]) + timedelta(minutes=2)).isoformat()}
        for row in impressions()[::5]
    ]


def users() -> list[dict[str, object]]:
    """Two versions a user, on the first and the third morning; u6 has none."""
    return [
        {"user": f"u{number}", "ts": f"{DAYS[day]}T06:00:00", "plan": plan, "plays": float(number + day)}
        for number in range(6)
        for day, plan in ((0, "free"), (2, "paid"))
    ]


def campaigns() -> list[dict[str, str]]:
    """Three campaigns of two advertisers."""
    return [{"campaign": f"c{number}", "advertiser": f"a{number % 2}"} for number in range(3)]


def write(path: Path, rows: Rows) -> None:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_lake(folder: Path, **tables: Rows) -> Path:
    """Write the lake under `folder`, with `tables` in place of its own, and the configuration; returns its path."""
    own: dict[str, Rows] = {
        "impressions": impressions(),
        "outcomes": outcomes(),
        "users": users(),
        "campaigns": campaigns(),
    }
    for name, rows in {**own, **tables}.items():
        write(folder / "raw" / f"{name}.json", rows)
    return write_config(folder, config(folder))


def write_config(folder: Path, settings: Mapping[str, object]) -> Path:
    """Write the settings as YAML."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


class Lake(NamedTuple):
    """A lake's folder and its configuration."""

    folder: Path
    config: Path

    @property
    def layout(self) -> Layout:
        """Where its tables lie."""
        return Layout(self.folder / "out")


def copy_of(built: Path, folder: Path) -> Lake:
    """Copy a lake and what was built from it to `folder`, with a configuration of its own."""
    shutil.copytree(built, folder, dirs_exist_ok=True)
    return Lake(folder, write_config(folder, config(folder)))


def training(spark: SparkSession, folder: Path) -> dict[str, Row]:
    """Return the rows of the training table under `folder`, by impression."""
    rows = spark.read.format("delta").load(str(folder / "out/training")).collect()
    return {row.impression_id: row for row in rows}


def quarantine(spark: SparkSession, folder: Path) -> list[Row]:
    """Return the rows of the quarantine table under `folder`."""
    return spark.read.format("delta").load(str(folder / "out/quarantine")).collect()


def counts(folder: Path) -> dict[str, Any]:
    """Return what the last run told of itself."""
    told: dict[str, Any] = json.loads((folder / "out/counts.json").read_text())["build_features"]
    return told


def run_job(config_file: Path, *arguments: str) -> int:
    """Run jobs/build_features.py in this process, which holds the Spark session; returns its exit code."""
    return run_main(main, config_file, *arguments)
