"""A pipeline on a lake that goes on day by day: its configuration, and its jobs as a user starts them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.day.spark_log import SparkWork, logging_to, work_of
from bench.growth.lake import DayLake
from bench.processes import children_s

ROOT = Path(__file__).resolve().parents[2]
DAY_S = 86_400
# A model learns from so many days at most, so that what grows with the table is told from what grows with them.
TRAINING_DAYS = 7
LOOKBACK_S = {"user": 2 * DAY_S, "context": DAY_S}
# Drift is a verdict of the scoring job, not a failure.
ENDED_WELL = (0, 3)


@dataclass(frozen=True)
class Cost:
    """Seconds of processors and by the clock, and what Spark did."""

    cpu_s: float
    clock_s: float
    work: SparkWork

    def figures(self) -> dict[str, float]:
        """Return all of it by name."""
        return {"cpu_s": round(self.cpu_s, 2), "clock_s": round(self.clock_s, 2), **self.work.figures()}


@dataclass(frozen=True)
class Pipeline:
    """A pipeline in `home` whose table has `days` days before one more a round.

    Unless `declared`, nothing tells on which day rows lie and how far joins look back.
    """

    home: Path
    lake: DayLake
    days: int
    rounds: int
    memory: str
    cores: int
    declared: bool = True

    def prepare(self) -> None:
        """Write the lake and the configuration."""
        self.lake.write(self.days + self.rounds)
        self._configure(self._config())

    def declare(self, feature: Callable[[dict[str, Any]], str]) -> str:
        """Let `feature` declare one more among the features, and return its name."""
        config = yaml.safe_load(self._file.read_text(encoding="utf-8"))
        name = feature(config["features"])
        self._configure(config)
        return name

    def add(self, column: str) -> Cost:
        """Add a feature that is declared to all days of the table."""
        return self._submit("add_columns", "--days", self._range(0, self.days - 1), "--columns", column)

    def build(self, first: int, last: int) -> Cost:
        """Build the features of the days of these numbers, both included."""
        return self._submit("build_features", "--days", self._range(first, last))

    def train(self) -> None:
        """Train a model for a few steps: what it predicts does not matter."""
        job = [sys.executable, "jobs/train.py", "-np", "1", "--config", str(self._file)]
        self._run(job, "train")

    def score(self, first: int, last: int) -> Cost:
        """Score the days of these numbers, both included."""
        return self._submit("score", "--days", self._range(first, last))

    @property
    def _file(self) -> Path:
        return self.home / "run.yaml"

    def _configure(self, config: dict[str, Any]) -> None:
        self._file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")

    def _range(self, first: int, last: int) -> str:
        return f"{self.lake.day(first)}..{self.lake.day(last)}"

    def _submit(self, job: str, *options: str) -> Cost:
        events = self.home / "events"
        shutil.rmtree(events, ignore_errors=True)
        submit = ["spark-submit", "--properties-file", "conf/spark/local.conf", "--master", f"local[{self.cores}]"]
        submit += ["--driver-memory", self.memory, *logging_to(events)]
        config = ["--config", str(self._file)]
        started, used = time.perf_counter(), children_s()
        self._run([*submit, f"jobs/{job}.py", *config, *options], job)
        return Cost(children_s() - used, time.perf_counter() - started, work_of(events))

    def _run(self, command: list[str], name: str) -> None:
        log = self.home / f"{name}.log"
        with log.open("w") as output:
            ended = subprocess.run(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False)
        if ended.returncode not in ENDED_WELL:
            raise RuntimeError(f"{name} ended with {ended.returncode}: {log.read_text()[-2000:]}")

    def _config(self) -> dict[str, Any]:
        conf = {name: _yaml(f"conf/{name}/synthetic.yaml") for name in ("sources", "features", "training")}
        first, last = max(0, self.days - TRAINING_DAYS), self.days + self.rounds
        train, validation, test = (
            {"first": self.lake.day(begin), "last": self.lake.day(end)}
            for begin, end in ((first, self.days - 1), (self.days, self.days), (self.days + 1, last))
        )
        return {
            "out": str(self.home / "out"),
            "input": str(self.lake.folder),
            "slots": _yaml("conf/slots/streaming.yaml"),
            "heads": _yaml("conf/heads/modality.yaml"),
            "model": _yaml("conf/model/camoe.yaml"),
            **conf,
            "sources": self._sources(conf["sources"]),
            "days": {"zone": "UTC", "train": train, "validation": validation, "test": test},
            "training": {**conf["training"], "epochs": 1, "steps": 5, "warmup_steps": 1, "tensorboard": False},
        }

    def _sources(self, sources: dict[str, Any]) -> dict[str, Any]:
        tables = [sources["impressions"], sources["outcomes"], *sources["entities"].values()]
        for table in tables:
            table["format"] = self.lake.format
        if not self.declared:
            return sources
        for log in tables[:2]:
            log.update({"day_column": "on"} if self.lake.format == "delta" else {"path": f"{log['path']}/{{day}}"})
        for name, lookback in LOOKBACK_S.items():
            sources["entities"][name]["lookback_s"] = lookback
        return sources


def _yaml(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
