"""Benchmarks of the feature side; the last line printed is one JSON object.

python -m bench.features join [--cases plain,hot,wide] [--scale 0.1] [--rounds 3] [--systems camoe,tempo,feast_spark]
    The point-in-time join beside dbl-tempo and Feast, on the same files with the same Spark settings, in turns.
python -m bench.features profile [--cases hot] [--scale 0.1]
    Our join alone, warm: what each of its stages took.
python -m bench.features growth [--sizes 200000,1000000,5000000] [--memory 4g] [--java OPTIONS] [key=value ...]
    The whole job jobs/build_features.py on lakes of growing size: seconds and peak resident memory. OPTIONS of Java
    take the place of those of conf/spark/local.conf, which are for short jobs; `features.history=null` leaves out the
    history.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from dataclasses import asdict
from typing import Any

from bench.asof.compare import Settings, compare, figures
from bench.asof.data import CASES
from bench.asof.profile import profile
from bench.growth.run import Driver, grow


def join(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the systems on every case."""
    settings = Settings(
        tuple(arguments.systems.split(",")), arguments.rounds, arguments.cores, arguments.memory, arguments.limit
    )
    found: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    notes: dict[str, str] = {}
    for name in arguments.cases.split(","):
        case = CASES[name].scaled(arguments.scale)
        results = compare(case, settings)
        own, against = figures(name, case.impressions, results)
        found.update(own)
        ratios.update(against)
        notes.update({f"{name}.{system}": result.failure or result.note for system, result in results.items()})
        logging.info("%s: %s", name, against)
    config = {**asdict(settings), "scale": arguments.scale, "cases": arguments.cases, "notes": notes}
    return {"bench": "features.join", "config": config, "figures": found, "ratios": ratios}


def stages(arguments: argparse.Namespace) -> dict[str, Any]:
    """Profile our join on every case."""
    settings = Settings((), 0, arguments.cores, arguments.memory, 0.0)
    found = {name: profile(CASES[name].scaled(arguments.scale), settings) for name in arguments.cases.split(",")}
    for name, of_case in found.items():
        for stage in of_case:
            logging.info("%s: %s", name, stage)
    return {"bench": "features.profile", "stages": found}


def growth(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the feature job at every size."""
    sizes = [int(size) for size in arguments.sizes.split(",")]
    driver = Driver(arguments.memory, arguments.cores, arguments.java)
    return {"bench": "features.growth", **grow(sizes, driver, arguments.overrides)}


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    side = commands.add_parser("join")
    side.add_argument("--cases", default=",".join(CASES))
    side.add_argument("--systems", default="camoe,tempo,feast_spark")
    side.add_argument("--scale", type=float, default=1.0)
    side.add_argument("--rounds", type=int, default=3)
    side.add_argument("--limit", type=float, default=600, help="seconds that a system may take for one run")
    side.set_defaults(run=join)
    own = commands.add_parser("profile")
    own.add_argument("--cases", default="plain,hot")
    own.add_argument("--scale", type=float, default=1.0)
    own.set_defaults(run=stages)
    whole = commands.add_parser("growth")
    whole.add_argument("--sizes", default="200000,1000000,5000000")
    whole.add_argument("--java", help="Java's options for the driver")
    whole.add_argument("overrides", nargs="*", metavar="key=value", help="of conf/synthetic.yaml")
    whole.set_defaults(run=growth)
    for command in (side, own, whole):
        command.add_argument("--cores", type=int, default=os.cpu_count() or 2)
        command.add_argument("--memory", default="4g", help="memory of a Spark driver")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    arguments = parser.parse_args()
    print(json.dumps(arguments.run(arguments)))


if __name__ == "__main__":
    main()
