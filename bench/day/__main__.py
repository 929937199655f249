"""What one more day costs; the last line printed is one JSON object. The aim: the same on a table of any age.

python -m bench.day pipeline [--days 1,10,100] [--rows-a-day 20000] [--rounds 2] [--format parquet] [--undeclared]
    The feature job and the scoring of one more day on tables of so many days: processor seconds, jobs, and bytes that
    Spark reads, shuffles and writes. A table is built in one run. As many days follow as there are rounds; the cheapest
    counts, as all have as many rows. `--format delta`: the raw tables are Delta tables. `--undeclared`: the sources say
    neither on which day rows lie nor how far joins look back, so that both logs and all entities are read whole.
python -m bench.day columns [--days 10] [--rows-a-day 20000]
    A feature of an entity, one of the log and one of the history, each added to a table of so many days, and a build of
    these days with all three. The content must be the same.
python -m bench.day log [--files 30000] [--days 365]
    Looks at the log of a training table of many files, at all days, at one, and all those of a feature run: processor
    seconds and memory.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.day.columns import MORE, costs_of_columns
from bench.day.pipeline import Cost, Pipeline
from bench.day.table_log import FIRST, cost_of_a_look, cost_of_a_runs_looks, write_log
from bench.growth.lake import DayLake

LOG = logging.getLogger("bench")
# Of which the largest table has as little more as can be.
FLAT = ("cpu_s", "read_mb", "shuffled_mb", "jobs")


def pipeline(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure both jobs on a table of each age."""
    found: dict[str, dict[int, Cost]] = {"build": {}, "score": {}}
    for days in (int(text) for text in asked.days.split(",")):
        with tempfile.TemporaryDirectory(dir=asked.home) as folder:
            home = Path(folder)
            lake = DayLake(home / "raw", asked.rows_a_day, asked.format)
            made = Pipeline(home, lake, days, asked.rounds, asked.memory, asked.cores, declared=not asked.undeclared)
            for name, cost in _costs(made, scoring=not asked.only_build).items():
                found[name][days] = cost
    figures = {
        f"{name}.{days}.{what}": value
        for name, costs in found.items()
        for days, cost in costs.items()
        for what, value in cost.figures().items()
    }
    ratios: dict[str, float] = {}
    for name, costs in found.items():
        if len(costs) > 1:
            least, most = costs[min(costs)].figures(), costs[max(costs)].figures()
            ratios |= {f"{name}.{what}": round(least[what] / most[what], 3) for what in FLAT if most[what]}
    return {"figures": figures, "ratios": ratios}


def _costs(made: Pipeline, *, scoring: bool) -> dict[str, Cost]:
    made.prepare()
    last = made.days - 1
    LOG.info("a table of %d days: %s", made.days, made.build(0, last).figures())
    more = range(made.days, made.days + made.rounds)
    costs = {"build": _cheapest([made.build(day, day) for day in more])}
    if scoring:
        made.train()
        LOG.info("predictions of %d days: %s", made.days, made.score(0, last).figures())
        costs["score"] = _cheapest([made.score(day, day) for day in more])
    for name, cost in costs.items():
        LOG.info("%s, one more day: %s", name, cost.figures())
    return costs


def _cheapest(costs: list[Cost]) -> Cost:
    for cost in costs:
        LOG.info("%s", cost.figures())
    return min(costs, key=lambda cost: cost.cpu_s)


def columns(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure features that are added to a table, and a build of its days anew."""

    def made(home: Path) -> Pipeline:
        lake = DayLake(home / "raw", asked.rows_a_day)
        return Pipeline(home, lake, asked.days, rounds=1, memory=asked.memory, cores=asked.cores)

    with tempfile.TemporaryDirectory(dir=asked.home) as folder:
        costs = costs_of_columns(made, Path(folder))
    figures = {f"{name}.{what}": value for name, cost in costs.items() for what, value in cost.figures().items()}
    return {"figures": figures, "ratios": {name: round(costs["anew"].cpu_s / costs[name].cpu_s, 3) for name in MORE}}


def table_log(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure looks at the log of a table without data."""
    with tempfile.TemporaryDirectory(dir=asked.home) as folder:
        table = Path(folder) / "training"
        write_log(table, asked.files, asked.days)
        last = FIRST + timedelta(days=asked.days - 1)
        found = {"all": cost_of_a_look(table, None), "one_day": cost_of_a_look(table, [last])}
        found["run"] = cost_of_a_runs_looks(table, last)
    figures = {f"{name}.{what}": value for name, cost in found.items() for what, value in cost.items()}
    return {"figures": figures, "ratios": {}}


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    whole = commands.add_parser("pipeline")
    whole.set_defaults(run=pipeline, bench="day.pipeline")
    whole.add_argument("--days", default="1,10,100", help="ages of the tables")
    whole.add_argument("--rounds", type=int, default=2)
    whole.add_argument("--format", choices=["parquet", "delta"], default="parquet")
    whole.add_argument("--undeclared", action="store_true")
    whole.add_argument("--only-build", action="store_true", help="leave scoring out")
    more = commands.add_parser("columns")
    more.set_defaults(run=columns, bench="day.columns")
    more.add_argument("--days", type=int, default=10)
    for command in (whole, more):
        command.add_argument("--rows-a-day", type=int, default=20_000)
        command.add_argument("--memory", default="4g", help="of Spark's driver")
        command.add_argument("--cores", type=int, default=os.cpu_count() or 2)
    look = commands.add_parser("log")
    look.set_defaults(run=table_log, bench="day.log")
    look.add_argument("--files", type=int, default=30_000)
    look.add_argument("--days", type=int, default=365)
    for command in (whole, more, look):
        command.add_argument("--home", type=Path, help="where tables are written (default: the temporary folder)")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    asked = parser.parse_args()
    config = {name: str(value) for name, value in vars(asked).items() if name not in {"run", "bench"}}
    print(json.dumps({"bench": asked.bench, "config": config, **asked.run(asked)}))


if __name__ == "__main__":
    main()
