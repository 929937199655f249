"""Run the whole chain, one job after the other, with the very commands that the README shows.

python jobs/demo.py --lake conf/lake/default.yaml --config conf/synthetic.yaml out=out/synthetic
With --lake a synthetic lake is made first. Spark's own output goes to log files under out/logs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from camoe.config.command_line import load_config, parse, parser, positive
from camoe.config.ending import EXPLAINED, exit_with, run_below
from camoe.config.pipeline import Config
from camoe.contracts.errors import CamoeError
from camoe.contracts.shown.commands import LOCAL_SPARK

ROOT = Path(__file__).resolve().parents[1]


class StageError(CamoeError):
    """An error that ended a stage of the chain."""


@dataclass(frozen=True)
class Stage:
    """One job: its name and its command line."""

    name: str
    command: tuple[str, ...]


def stages(config: Config, chosen: argparse.Namespace) -> list[Stage]:
    """Return the chain's jobs in order."""
    submit = (str(Path(sys.executable).with_name("spark-submit")), "--properties-file", f"{ROOT}/{LOCAL_SPARK}")
    common = ("--config", chosen.config, *chosen.overrides)
    replace = ("--replace",) if chosen.replace else ()
    train = (sys.executable, f"{ROOT}/jobs/train.py", "-np", str(chosen.workers), *common)
    chain = [
        Stage("build_features", (*submit, f"{ROOT}/jobs/build_features.py", *replace, *common)),
        Stage("train", train),
        Stage("score", (*submit, f"{ROOT}/jobs/score.py", "--model", "newest", *common)),
        Stage("evaluate", (*submit, f"{ROOT}/jobs/evaluate.py", "--model", "newest", *common)),
    ]
    if chosen.lake:
        lake = ("--config", chosen.lake, f"out={config.out}", *replace)
        return [Stage("make_lake", (*submit, f"{ROOT}/jobs/make_lake.py", *lake)), *chain]
    return [Stage("check", (sys.executable, f"{ROOT}/jobs/check.py", *replace, *common)), *chain]


def run(stage: Stage, logs: Path) -> float:
    """Run one stage with its own output shown and the rest in its log file; return the seconds it took."""
    log = logs / f"{stage.name}.log"
    started = time.monotonic()
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    with log.open("w") as file:
        code = run_below(stage.command, file, environment)
    if code != 0:
        raise StageError(f"{stage.name} ended with code {code}: {_reason(code, log)} (log: {log})")
    return time.monotonic() - started


def _reason(code: int, log: Path) -> str:
    # spark-submit has shown its job's message already; other jobs say theirs on stderr, which went to the log.
    lines = log.read_text(encoding="utf-8").splitlines()
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if said:
        return said[-1]
    return "for the reason above" if code == EXPLAINED else "it died before it could say why, see the end of its log"


def main(argv: list[str]) -> None:
    """Run all stages and show how long each took."""
    options = parser(__doc__ or "")
    options.add_argument("-np", "--workers", type=positive, default=2, help="Horovod workers (default: 2)")
    options.add_argument("--lake", metavar="FILE", help="make the synthetic lake that this file describes first")
    options.add_argument("--replace", action="store_true", help="replace a lake or training table made otherwise")
    chosen = parse(options, argv)
    from rich.table import Table

    from camoe.contracts.shown.terminal import console

    config = load_config(chosen, reads_input=not chosen.lake)
    shown, logs = console(), config.layout.logs
    logs.mkdir(parents=True, exist_ok=True)
    table = Table("stage", "seconds", title="wall time")
    for stage in stages(config, chosen):
        shown.rule(f"[bold]{stage.name}", align="left")
        table.add_row(stage.name, f"{run(stage, logs):.0f}")
    shown.print(table)
    print(f"report: {config.layout.report / 'index.html'}    rows of every stage: {config.layout.counts}")


if __name__ == "__main__":
    exit_with(main)
