"""Benchmarks of training; the last line printed is one JSON object, whose ratios above 1 are better for us.

python bench/train.py speed [--vocabularies 26000,1000000,2600000,10400000] [--models mmoe,dcn] [--threads 2]
    Samples per second and peak memory beside FuxiCTR, torch-rechub, DeepCTR-Torch and TorchRec, on the same batches
    in memory, each by its own training step, in turns. Their environments are made on first use, under .tools.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from training.compare import Plan, speed
from training.rows import BATCH

VOCABULARIES = "26000,1000000,2600000,10400000"


def measure_speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every system at every vocabulary."""
    vocabularies = [max(26, round(int(size) * arguments.scale)) for size in arguments.vocabularies.split(",")]
    plan = Plan(arguments.rounds, arguments.steps, arguments.batches, arguments.threads, arguments.exponent)
    bf16 = fast_bf16()
    with tempfile.TemporaryDirectory() as folder:
        found = speed(vocabularies, arguments.models.split(","), plan, Path(folder), bf16=bool(bf16))
    config = {**vars(plan), "batch": BATCH, "vocabularies": vocabularies, "bf16": bf16 or "not on this processor"}
    config |= {"failures": found.failures}
    return {"bench": "train.speed", "config": config, "figures": found.figures, "ratios": found.ratios}


def fast_bf16() -> list[str]:
    """The processor's instructions for bf16; without any it would be emulated."""
    flags = Path("/proc/cpuinfo").read_text().split() if Path("/proc/cpuinfo").exists() else []
    return sorted({"amx_bf16", "avx512_bf16"} & set(flags))


def main() -> None:
    """Run the benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    side = commands.add_parser("speed")
    side.add_argument("--vocabularies", default=VOCABULARIES)
    side.add_argument("--models", default="mmoe,dcn")
    side.add_argument("--rounds", type=int, default=7)
    side.add_argument("--steps", type=int, default=8, help="steps of a turn")
    side.add_argument("--batches", type=int, default=32, help="different batches in memory")
    side.add_argument("--exponent", type=float, default=1.05, help="of Zipf's law, which the ids follow")
    side.add_argument("--scale", type=float, default=1.0, help="of the vocabularies")
    side.set_defaults(run=measure_speed)
    for command in (side,):
        command.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of every system")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    arguments = parser.parse_args()
    print(json.dumps(arguments.run(arguments)))


if __name__ == "__main__":
    main()
