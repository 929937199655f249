"""What Spark did in a job, from the log of its events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MB = 1e6


@dataclass(frozen=True)
class SparkWork:
    """Jobs, tasks, and bytes that tasks read from files, wrote to shuffles, and wrote to files."""

    jobs: int
    tasks: int
    read: int
    rows_read: int
    shuffled: int
    written: int

    def figures(self) -> dict[str, float]:
        """Return them by name, bytes in MB."""
        counts = {"jobs": self.jobs, "tasks": self.tasks, "rows_read": self.rows_read}
        sizes = {"read_mb": self.read, "shuffled_mb": self.shuffled, "written_mb": self.written}
        return {**counts, **{name: round(size / MB, 2) for name, size in sizes.items()}}


def logging_settings(folder: Path) -> dict[str, str]:
    """Return the settings by which Spark writes its events into one file in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    events = {"enabled": "true", "dir": folder.resolve().as_uri(), "rolling.enabled": "false", "compress": "false"}
    return {f"spark.eventLog.{name}": value for name, value in events.items()}


def logging_to(folder: Path) -> list[str]:
    """Return the options of spark-submit that let Spark write its events into one file in `folder`."""
    return [part for name, value in logging_settings(folder).items() for part in ("--conf", f"{name}={value}")]


def work_of(folder: Path) -> SparkWork:
    """Return what the one job did whose events lie in `folder`."""
    (file,) = [path for path in folder.iterdir() if not path.name.startswith(".")]
    with file.open(encoding="utf-8") as lines:
        return counted(json.loads(line) for line in lines)


def counted(events: Iterable[Mapping[str, Any]]) -> SparkWork:
    """Return what the jobs of the `events` did; tasks that failed are counted too."""
    jobs, tasks = 0, list[Mapping[str, Any]]()
    for event in events:
        jobs += event["Event"] == "SparkListenerJobStart"
        if event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
            tasks.append(event["Task Metrics"])

    def total(group: str, name: str) -> int:
        return sum(task[group][name] for task in tasks)

    return SparkWork(
        jobs=jobs,
        tasks=len(tasks),
        read=total("Input Metrics", "Bytes Read"),
        rows_read=total("Input Metrics", "Records Read"),
        shuffled=total("Shuffle Write Metrics", "Shuffle Bytes Written"),
        written=total("Output Metrics", "Bytes Written"),
    )
