"""Benchmarks of training; the last line printed is one JSON object, whose ratios above 1 are better for us.

python -m bench.train speed [--vocabularies 26000,1000000,2600000,10400000] [--models mmoe,dcn] [--threads 2]
    Samples per second and peak memory beside FuxiCTR, torch-rechub, DeepCTR-Torch and TorchRec, on the same batches
    in memory, each by its own training step, in turns. Their environments are made on first use, under .tools.
python -m bench.train quality [--models mmoe,dcn] [--train-rows 800000] [--seeds 3]
    AUC and log loss of the same systems on rows held out, after one pass over rows with a planted signal, each at
    the best of three learning rates for it.
python -m bench.train stream [--rows 500000] [--model mmoe]
    Our training from a Delta table against our training from memory.
python -m bench.train workers [--model mmoe]
    One process against two Horovod workers, with as many threads in all.
python -m bench.train whole [--ranks 0,64,32,8]
    The whole CAMoE by rank of its crosses (0: full), heads on their own rows or on all, bf16; share of the limit.
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

from bench.training.compare import Findings, Plan, speed
from bench.training.launch import stream, workers
from bench.training.quality import Pass, quality
from bench.training.rows import BATCH
from bench.training.whole import whole
from camoe.train.loop.precision import bf16_instructions

VOCABULARIES = "26000,1000000,2600000,10400000"


def measure_speed(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure every system at every vocabulary."""
    vocabularies = [max(26, round(int(size) * asked.scale)) for size in asked.vocabularies.split(",")]
    plan = Plan(asked.rounds, asked.steps, asked.batches, asked.threads, asked.exponent)
    bf16 = sorted(bf16_instructions())
    found = speed(vocabularies, asked.models.split(","), plan, folder, bf16=bool(bf16))
    config = {**vars(plan), "vocabularies": vocabularies, "bf16": bf16 or "not on this processor"}
    return _line("speed", config, found)


def measure_quality(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure every system with every seed."""
    rows = round(asked.train_rows * asked.scale)
    plan = Pass(asked.vocabulary, rows, rows // 4, asked.threads, asked.exponent, asked.seeds)
    return _line("quality", vars(plan), quality(asked.models.split(","), plan, folder))


def measure_stream(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure this project from the stream and from memory."""
    settings = {"rows": round(asked.rows * asked.scale), "rounds": asked.rounds, **_own(asked)}
    return {"bench": "train.stream", "config": settings, **stream(settings, folder)}


def measure_workers(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure one and two workers of this project."""
    settings = {"rows": 500_000, "rounds": asked.rounds, "steps": asked.steps, **_own(asked)}
    return {"bench": "train.workers", "config": settings, **workers(settings, folder, asked.launches)}


def measure_whole(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure the whole CAMoE by rank."""
    ranks = [int(rank) or None for rank in asked.ranks.split(",")]
    found = whole(ranks, asked.rounds, asked.steps, asked.threads, folder)
    return {"bench": "train.whole", "config": {"ranks": ranks, "batch": BATCH, "threads": asked.threads}, **found}


def _own(asked: argparse.Namespace) -> dict[str, Any]:
    return {"model": asked.model, "threads": asked.threads, "cache": str(asked.cache.resolve()), "batch": BATCH}


def _line(name: str, config: dict[str, Any], found: Findings) -> dict[str, Any]:
    whole = {**config, "batch": BATCH, "failures": found.failures}
    return {"bench": f"train.{name}", "config": whole, "figures": found.figures, "ratios": found.ratios}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    names = {"speed": measure_speed, "quality": measure_quality, "stream": measure_stream, "workers": measure_workers}
    names["whole"] = measure_whole
    made = {name: commands.add_parser(name) for name in names}
    for name, command in made.items():
        command.set_defaults(run=names[name])
        command.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of every system, in all")
        command.add_argument("--scale", type=float, default=1.0, help="of the vocabularies, or of the rows")
    for name in ("speed", "quality"):
        made[name].add_argument("--models", default="mmoe,dcn")
        made[name].add_argument("--exponent", type=float, default=1.05, help="of Zipf's law, which the ids follow")
    made["whole"].add_argument("--ranks", default="0,64,32,8")
    for name in ("speed", "workers", "whole"):
        made[name].add_argument("--steps", type=int, default=8, help="steps of a turn")
    for name, rounds in {"speed": 7, "stream": 5, "workers": 5, "whole": 5}.items():
        made[name].add_argument("--rounds", type=int, default=rounds)
    for name in ("stream", "workers"):
        made[name].add_argument("--model", default="mmoe", choices=["mmoe", "camoe"])
        made[name].add_argument("--cache", type=Path, default=Path("out/bench/stream"), help="for the Delta table")
    made["speed"].add_argument("--vocabularies", default=VOCABULARIES)
    made["speed"].add_argument("--batches", type=int, default=32, help="different batches in memory")
    made["quality"].add_argument("--vocabulary", type=int, default=26_000)
    made["quality"].add_argument("--train-rows", type=int, default=800_000)
    made["quality"].add_argument("--seeds", type=int, default=3)
    made["stream"].add_argument("--rows", type=int, default=500_000)
    made["workers"].add_argument("--launches", type=int, default=3)
    return parser


def main() -> None:
    """Run the benchmark that the command line names."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    asked = _parser().parse_args()
    with tempfile.TemporaryDirectory() as folder:
        line = asked.run(asked, Path(folder))
    print(json.dumps(line))


if __name__ == "__main__":
    main()
