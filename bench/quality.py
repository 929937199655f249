"""CAMoE beside other rankers on the same rows and features; the last line printed is one JSON object.

python -m bench.quality --config conf/synthetic.yaml out=out/synthetic [--seeds 3] [--table FILE.md]

Each system is tuned with the same effort: its learning rates times 1/2, 1, 2 and 4, and the best NE on the validation
days is kept. Then it is trained with each seed, calibrated on the validation days and judged on the test
days. Differences are paired over users.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bench.ranking.judge import Answer, calibrated, judge
from bench.ranking.networks import serving, sizes, train, variants, with_rates
from bench.ranking.rows import Days, Floats, read_days
from bench.ranking.trees import TREES
from camoe.config.command_line import load_config, parse, parser, positive
from camoe.config.ending import exit_with
from camoe.config.pipeline import Config
from camoe.metrics.calibration import normalised_entropy
from camoe.metrics.histogram import Histogram
from camoe.train.data.training_inputs import TrainingInputs, open_training_inputs

FACTORS = (0.5, 1.0, 2.0, 4.0)
# The system that the others are held against.
FIRST = "camoe"
SINGLE = "heads=conf/heads/single.yaml"
Training = Callable[[float, int], tuple[Floats, Floats]]


def systems(config: Config, single: Config, inputs: TrainingInputs, days: Days) -> dict[str, tuple[Training, Any]]:
    """Name to how it is trained with a factor and a seed, and its head by slot."""
    found: dict[str, tuple[Training, Any]] = {}
    for name, own in variants(config, single).items():
        heads = serving(own)

        def network(factor: float, seed: int, own: Config = own) -> tuple[Floats, Floats]:
            return train(with_rates(own, factor, seed), inputs, days)

        found[name] = (network, np.array([heads[slot] for slot in range(len(heads))]))
    for name, grow in TREES.items():

        def trees(factor: float, seed: int, grow: Any = grow) -> tuple[Floats, Floats]:
            own: tuple[Floats, Floats] = grow(days, factor, seed)
            return own

        found[name] = (trees, np.zeros(len(config.slots.slots), int))
    return found


def run(config: Config, single: Config, seeds: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return the table's rows, and each system's chosen factor."""
    inputs = open_training_inputs(config)
    days = read_days(config, inputs)
    answers: dict[str, list[Floats]] = {}
    chosen: dict[str, float] = {}
    for name, (training, head) in systems(config, single, inputs, days).items():
        tried = {factor: training(factor, 1) for factor in FACTORS}
        scores = {factor: _ne(days, answer[0]) for factor, answer in tried.items()}
        chosen[name] = best = min(scores, key=lambda factor: scores[factor])
        found = [tried[best], *(training(best, seed) for seed in range(2, seeds + 1))]
        own = [Answer(validation, test, head) for validation, test in found]
        answers[name] = [calibrated(config, answer, days.validation, days.test) for answer in own]
        print(f"{name}: validation NE {scores}, chosen {best}", file=sys.stderr, flush=True)
    return judge(config, days.test, answers), chosen


def _ne(days: Days, p: Floats) -> float:
    return float(normalised_entropy(Histogram.from_rows(p, days.validation.label).bins()))


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows in Markdown; a verdict stands with the interval of the first system's metric less this one's."""
    verdicts = (f"{FIRST} by {name}" for name in ("AUC-PR", "ROC-AUC", "NE"))
    heads = ("system", "AUC-PR", "ROC-AUC", "NE (sd of seeds)", "ECE (by chance)", *verdicts)
    found = ""
    for group, of_group in groupby(rows, key=lambda row: row["group"]):
        own = list(of_group)
        lines = [heads, ("---",) * len(heads), *map(_line, own)]
        found += f"\n{group}: {own[0]['impressions']:,} impressions, {own[0]['clicks']:,} clicks\n\n"
        found += "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return found


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    chance = "?" if row["ece_floor"] is None else f"{row['ece_floor']:.4f}"
    figures = (f"{row['auc_pr']:.4f}", f"{row['roc_auc']:.4f}", f"{row['ne']:.4f} ({row['sd_ne']:.4f})",
               f"{row['ece']:.4f} ({chance})")  # fmt: skip
    if row["system"] == FIRST:
        return (FIRST, *figures, "", "", "")
    return (row["system"], *figures, *(_told(row, metric) for metric in ("auc_pr", "roc_auc", "ne")))


def _told(row: dict[str, Any], metric: str) -> str:
    bounds = row[f"{metric}_first_less_this"]
    return str(row[f"{metric}_first_is"]) + ("" if bounds is None else f" [{bounds[0]:+.4f}, {bounds[1]:+.4f}]")


def main(argv: list[str]) -> None:
    """Compare all systems on the configuration's table."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")
    options = parser(__doc__ or "")
    options.add_argument("--seeds", type=positive, default=3)
    options.add_argument("--table", type=Path, help="where to write the table in Markdown")
    chosen = parse(options, argv)
    config = load_config(chosen)
    chosen.overrides = [*chosen.overrides, SINGLE]
    single = load_config(chosen)
    parameters = sizes(variants(config, single), open_training_inputs(config).encoder)
    print(f"parameters beside the embeddings: {parameters}", file=sys.stderr, flush=True)
    rows, factors = run(config, single, chosen.seeds)
    if chosen.table is not None:
        chosen.table.write_text(table(rows))
    print(table(rows), file=sys.stderr)
    what = {"config": chosen.config, "seeds": chosen.seeds, "factors": factors, "parameters": parameters}
    print(json.dumps({"bench": "quality", "config": what, "figures": {"rows": rows}, "ratios": {}}))


if __name__ == "__main__":
    exit_with(main)
