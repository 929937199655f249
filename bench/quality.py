"""CAMoE beside other rankers on the same rows and features; the last line printed is one JSON object.

python -m bench.quality --config conf/synthetic.yaml out=out/synthetic [--seeds 5] [--systems NAME] [--table FILE]

Each system is tuned with the same effort: its learning rates times 1/2, 1, 2 and 4, and the best NE on the validation
days is kept. Then it is trained with each seed, calibrated on the validation days and judged on the test days.
Differences are paired over users. The blend of the trees, and CAMoE's ensemble of its seeds, come beside them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bench.ranking.judge import Answer, calibrated, judge, mean_of
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
# The systems that the others are held against.
FIRST, ENSEMBLE, BLEND = "camoe", "camoe_ensemble", "trees_blend"
SINGLE = "heads=conf/heads/single.yaml"
Training = Callable[[float, int], tuple[Floats, Floats]]
Answers = dict[str, list[Answer]]


def systems(config: Config, single: Config, inputs: TrainingInputs, days: Days) -> dict[str, tuple[Training, Any]]:
    """Map names to how a system is trained with a factor and a seed, and to its head by slot."""
    found: dict[str, tuple[Training, Any]] = {}
    for name, own in variants(config, single, inputs.encoder).items():
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


def answers(found: Mapping[str, tuple[Training, Any]], days: Days, seeds: int) -> tuple[Answers, dict[str, float]]:
    """Return each system's answer to each seed, and the factor that was chosen for it."""
    made: Answers = {}
    chosen: dict[str, float] = {}
    for name, (training, head) in found.items():
        tried = {factor: training(factor, 1) for factor in FACTORS}
        scores = {factor: _ne(days, answer[0]) for factor, answer in tried.items()}
        chosen[name] = best = min(scores, key=lambda factor: scores[factor])
        own = [tried[best], *(training(best, seed) for seed in range(2, seeds + 1))]
        made[name] = [Answer(validation, test, head) for validation, test in own]
        print(f"{name}: validation NE {scores}, chosen {best}", file=sys.stderr, flush=True)
    return made, chosen


def blended(made: Answers) -> Answers:
    """Return the means of several answers: of both trees by seed and over all seeds, and CAMoE's over all seeds."""
    found: Answers = {}
    if set(TREES) <= set(made):
        found[BLEND] = [mean_of(both) for both in zip(*(made[name] for name in TREES), strict=True)]
        found[f"{BLEND}_ensemble"] = [mean_of([one for name in TREES for one in made[name]])]
    if FIRST in made:
        found[ENSEMBLE] = [mean_of(made[FIRST])]
    return found


def judged(config: Config, days: Days, made: Answers) -> dict[str, list[dict[str, Any]]]:
    """Return rows of metrics: of single models held against CAMoE, and of the means held against CAMoE's mean."""
    means = blended(made)
    known = {
        name: [calibrated(config, one, days.validation, days.test) for one in own]
        for name, own in (made | means).items()
    }
    single = {name: known[name] for name in known if name in made or name == BLEND}
    together = {name: known[name] for name in (ENSEMBLE, *means) if name in known}
    return {name: judge(config, days.test, own) for name, own in (("single", single), ("means", together)) if own}


def _ne(days: Days, p: Floats) -> float:
    return float(normalised_entropy(Histogram.from_rows(p, days.validation.label).bins()))


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows in Markdown; a verdict stands with the interval of the first system's metric less this one's."""
    first = rows[0]["system"]
    verdicts = (f"{first} by {name}" for name in ("AUC-PR", "ROC-AUC", "NE"))
    heads = ("system", "AUC-PR", "ROC-AUC", "NE (sd of seeds)", "ECE (by chance)", *verdicts)
    found = ""
    for group, of_group in groupby(rows, key=lambda row: row["group"]):
        own = list(of_group)
        lines = [heads, ("---",) * len(heads), *(_line(row, first) for row in own)]
        found += f"\n{group}: {own[0]['impressions']:,} impressions, {own[0]['clicks']:,} clicks\n\n"
        found += "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return found


def _line(row: dict[str, Any], first: str) -> tuple[str, ...]:
    chance = "?" if row["ece_floor"] is None else f"{row['ece_floor']:.4f}"
    spread = "" if row["sd_ne"] is None else f" ({row['sd_ne']:.4f})"
    figures = (
        f"{row['auc_pr']:.4f}",
        f"{row['roc_auc']:.4f}",
        f"{row['ne']:.4f}{spread}",
        f"{row['ece']:.4f} ({chance})",
    )
    if row["system"] == first:
        return (first, *figures, "", "", "")
    return (row["system"], *figures, *(_told(row, metric) for metric in ("auc_pr", "roc_auc", "ne")))


def _told(row: dict[str, Any], metric: str) -> str:
    bounds = row[f"{metric}_first_less_this"]
    return str(row[f"{metric}_first_is"]) + ("" if bounds is None else f" [{bounds[0]:+.4f}, {bounds[1]:+.4f}]")


def main(argv: list[str]) -> None:
    """Compare all systems on the configuration's table."""
    options = parser(__doc__ or "")
    options.add_argument("--seeds", type=positive, default=5)
    options.add_argument("--systems", nargs="+", metavar="NAME", help="which ones (default: all)")
    options.add_argument("--table", type=Path, help="where to write the table in Markdown")
    chosen = parse(options, argv)
    config = load_config(chosen)
    chosen.overrides = [*chosen.overrides, SINGLE]
    single = load_config(chosen)
    inputs = open_training_inputs(config)
    days = read_days(config, inputs)
    found = systems(config, single, inputs, days)
    unknown = sorted(set(chosen.systems or ()) - set(found))
    if unknown:
        options.error(f"no system {unknown[0]}; there are {', '.join(found)}")
    found = {name: own for name, own in found.items() if not chosen.systems or name in chosen.systems}
    parameters = sizes(variants(config, single, inputs.encoder), inputs.encoder)
    print(f"parameters beside the embeddings: {parameters}", file=sys.stderr, flush=True)
    made, factors = answers(found, days, chosen.seeds)
    rows = judged(config, days, made)
    text = "".join(map(table, rows.values()))
    if chosen.table is not None:
        chosen.table.write_text(text)
    print(text, file=sys.stderr)
    what = {"config": chosen.config, "seeds": chosen.seeds, "factors": factors, "parameters": parameters}
    print(json.dumps({"bench": "quality", "config": what, "figures": rows, "ratios": {}}))


if __name__ == "__main__":
    exit_with(main)
