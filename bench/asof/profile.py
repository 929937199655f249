"""Where the time of our join goes: what each stage of a warm run took, from the log of Spark's events."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.asof.compare import Settings
from bench.asof.data import Case, feature_names, write
from bench.asof.systems.camoe import join
from bench.asof.worker import session
from bench.day.spark_log import MB, logging_settings

WARM = 4
GROUP = "spark.jobGroup.id"
# The same for every stage, and so of no use to tell one from another.
ALWAYS = ("WholeStageCodegen", "Exchange", "AQEShuffleRead", "InputAdapter", "mapPartitionsInternal", "ColumnarToRow")
NS = 1e9


def profile(case: Case, settings: Settings) -> list[dict[str, Any]]:
    """Run our join until it is warm, then once more; return what each stage of that run did, the longest first."""
    with tempfile.TemporaryDirectory() as home:
        folder, events = Path(home) / "case", Path(home) / "events"
        write(case, folder)
        spark = session({**settings.spark(), **logging_settings(events)})
        for turn in range(WARM + 1):
            spark.sparkContext.setJobGroup(f"turn {turn}", "")
            joined, _, _ = join(spark, folder, feature_names(case))
            joined.write.format("noop").mode("overwrite").save()
        spark.stop()
        (log,) = events.iterdir()
        with log.open(encoding="utf-8") as lines:
            return stages_of(map(json.loads, lines), f"turn {WARM}")


def stages_of(events: Iterable[Mapping[str, Any]], group: str) -> list[dict[str, Any]]:
    """Return what the stages of one group of jobs did; threads of their own, as those that count, are in the group."""
    wanted, names = set[int](), dict[int, str]()
    spent: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in events:
        if event["Event"] == "SparkListenerJobStart" and event.get("Properties", {}).get(GROUP) == group:
            wanted.update(event["Stage IDs"])
        elif event["Event"] == "SparkListenerStageCompleted":
            stage = event["Stage Info"]
            names[stage["Stage ID"]] = _operators(stage["RDD Info"])
        elif event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
            _add(spent[event["Stage ID"]], event["Task Metrics"])
    found = [
        {"operators": names[stage], **{name: round(value, 2) for name, value in spent[stage].items()}}
        for stage in sorted(wanted & names.keys())
    ]
    return sorted(found, key=lambda stage: -stage["processor_s"])


def _add(stage: dict[str, float], task: Mapping[str, Any]) -> None:
    read, written = task["Shuffle Read Metrics"], task["Shuffle Write Metrics"]
    stage["tasks"] += 1
    stage["seconds"] += task["Executor Run Time"] / 1e3
    stage["processor_s"] += task["Executor CPU Time"] / NS
    stage["garbage_s"] += task["JVM GC Time"] / 1e3
    stage["rows_read"] += task["Input Metrics"]["Records Read"]
    stage["shuffle_read_mb"] += (read["Local Bytes Read"] + read["Remote Bytes Read"]) / MB
    stage["shuffle_write_mb"] += written["Shuffle Bytes Written"] / MB
    stage["shuffle_write_s"] += written["Shuffle Write Time"] / NS


def _operators(rdds: Iterable[Mapping[str, Any]]) -> str:
    """Return the operators of a stage, in the order of their work."""
    scopes = [json.loads(rdd["Scope"])["name"] for rdd in sorted(rdds, key=lambda rdd: rdd["RDD ID"]) if "Scope" in rdd]
    names = dict.fromkeys(scope.strip() for scope in scopes)
    return ", ".join(name for name in names if not name.startswith(ALWAYS)) or ", ".join(names)
