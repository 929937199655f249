"""Run the whole chain, one job after the other, with the very commands that the README shows.

python jobs/demo.py --lake conf/lake/default.yaml --config conf/synthetic.yaml out=out/synthetic
With --lake a synthetic lake is made first. Spark's own output goes to log files under out/logs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from camoe.config import Config, load_config, parser
from camoe.contracts.errors import CamoeError, exit_with

SUBMIT = ("spark-submit", "--properties-file", "conf/spark/local.conf")


class StageError(CamoeError):
    """A stage of the chain ended with an error."""


@dataclass(frozen=True)
class Stage:
    """One job: its name and its command line."""

    name: str
    command: tuple[str, ...]


def stages(config: Config, config_file: str, overrides: list[str], lake: list[str], workers: int) -> list[Stage]:
    """The chain's jobs in order."""
    common = ("--config", config_file, *overrides)
    chain = [
        Stage("build_features", (*SUBMIT, "jobs/build_features.py", *common)),
        Stage("train", (sys.executable, "jobs/train.py", "-np", str(workers), *common)),
        Stage("score", (*SUBMIT, "jobs/score.py", *common)),
        Stage("evaluate", (*SUBMIT, "jobs/evaluate.py", *common)),
    ]
    if lake:
        file, *changes = lake
        command = (*SUBMIT, "jobs/make_lake.py", "--config", file, f"out={config.out}", *changes)
        chain.insert(0, Stage("make_lake", command))
    return chain


def run(stage: Stage, logs: Path) -> float:
    """Run one stage with its own output shown and the rest in its log file; seconds it took."""
    log = logs / f"{stage.name}.log"
    started = time.monotonic()
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable}
    with log.open("w") as file:
        code = subprocess.run(stage.command, stderr=file, env=environment, check=False).returncode
    if code != 0:
        raise StageError(f"{stage.name} ended with code {code}, for the reason above; its log is {log}")
    return time.monotonic() - started


def main(argv: list[str]) -> None:
    """Run all stages and show how long each took."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("-np", "--workers", type=int, default=2, help="Horovod workers (default: 2)")
    arguments.add_argument("--lake", nargs="+", default=[], metavar=("FILE", "key=value"), help="make this lake first")
    chosen = arguments.parse_args(argv)
    config = load_config(chosen)
    logs = config.layout.logs
    logs.mkdir(parents=True, exist_ok=True)
    console = Console()
    table = Table("stage", "seconds", title="wall time")
    for stage in stages(config, chosen.config, chosen.overrides, chosen.lake, chosen.workers):
        console.rule(f"[bold]{stage.name}", align="left")
        table.add_row(stage.name, f"{run(stage, logs):.0f}")
    console.print(table)
    print(f"report: {config.layout.report / 'index.html'}    rows of every stage: {config.layout.counts}")


if __name__ == "__main__":
    exit_with(main)
