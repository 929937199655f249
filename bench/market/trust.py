"""Whether experiments in a market tell the truth: many splits of the same users, and what each would have told.

python -m bench.market.trust --splits 400 --tightness 0.5
The market is one of bench/market/world.py, so the truth is known. Prints what each design tells on average, how often
95 % intervals hold the truth of the whole market, and the p-values of A/A splits in tenths; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

import numpy as np
from scipy import stats

from bench.market.world import TICKS, world
from camoe.market.config import Rules
from camoe.market.draws import Floats
from camoe.market.experiment.adjusted import cuped
from camoe.market.experiment.counted import Counted
from camoe.market.experiment.measures import Asked, asked, changes
from camoe.market.experiment.offers import Arms
from camoe.market.experiment.run import Market, two_arms, whole_market
from camoe.market.experiment.significance import RATIOS, bootstrapped, paired

BUCKETS = 64
SHOWN = ("ctr", "ecpc", "ecpm", "spend")


def told(counted: Counted) -> dict[str, float]:
    """Return the changes of all users and slots, by expected clicks."""
    control, treated = counted.users.sum(axis=(1, 2))
    found = changes(control, treated, "expected")
    return {name: float(found[name]) for name in SHOWN}


def designs(market: Market, question: Asked, models: tuple[str, str], splits: int) -> dict[str, list[dict[str, float]]]:
    """Return what the split of budgets and the shared budgets tell, split by split."""
    return {
        name: [
            told(two_arms(market, question, models, Arms(f"{salt}"), BUCKETS, budgets_split=name == "split"))
            for salt in range(splits)
        ]
        for name in ("split", "shared")
    }


def coverage(market: Market, question: Asked, models: tuple[str, str], splits: int) -> dict[str, float]:
    """Return how often the interval of a split holds the whole market's truth."""
    truth = told(whole_market(market, question, models, BUCKETS))
    inside = dict.fromkeys(RATIOS, 0)
    for salt in range(splits):
        counted = two_arms(market, question, models, Arms(f"cover {salt}"), BUCKETS, budgets_split=True)
        for name, ends in bootstrapped(counted.users.sum(axis=2), "expected", 400, salt).items():
            if name in inside and ends is not None:
                inside[name] += ends.low <= truth[name] <= ends.high
    return {name: count / splits for name, count in inside.items()}


def chance(market: Market, question: Asked, model: str, splits: int) -> dict[str, Floats]:
    """Return the p-values of A/A splits."""
    found: dict[str, list[float]] = {}
    for salt in range(splits):
        counted = two_arms(market, question, (model, model), Arms(f"a/a {salt}"), BUCKETS, budgets_split=True)
        users = counted.users.sum(axis=2)
        for rate in RATIOS:
            found.setdefault(rate, []).append(paired(users, rate, "expected").p)
        found.setdefault("ctr, cuped", []).append(cuped(users, counted.covariate.sum(axis=2), "ctr", "expected").p)
    return {name: np.array(values) for name, values in found.items()}


def main(argv: list[str]) -> None:
    """Try the splits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=400)
    parser.add_argument("--tightness", type=float, default=0.5, help="budgets; above about 1 none ends")
    parser.add_argument("--charge", choices=("impression", "click"), default="impression")
    parser.add_argument("--treated", default="good", choices=("good", "oracle", "scaled", "skewed"))
    chosen = parser.parse_args(argv)
    made = world(1, tightness=chosen.tightness, users=4000, rules=Rules(ticks=TICKS, charge=chosen.charge))
    kept = list(made.offers())
    market = replace(made, offers=lambda: iter(kept))
    question, models = asked(market.offers, "poor"), ("poor", chosen.treated)
    truth = told(whole_market(market, question, models, BUCKETS))
    figures: dict[str, float] = {f"truth_{name}": value for name, value in truth.items()}
    print("whole market   ", "  ".join(f"{name} {100 * value:+6.2f} %" for name, value in truth.items()))
    for design, rows in designs(market, question, models, min(chosen.splits, 100)).items():
        means = {name: float(np.mean([row[name] for row in rows])) for name in SHOWN}
        spread = {name: float(np.std([row[name] for row in rows])) for name in SHOWN}
        print(
            f"budgets {design:7}",
            "  ".join(f"{name} {100 * means[name]:+6.2f} % (sd {100 * spread[name]:.2f})" for name in SHOWN),
        )
        figures |= {f"{design}_{name}": value for name, value in means.items()}
    for name, share in coverage(market, question, models, chosen.splits).items():
        print(f"95 % intervals of {name} hold the truth in {100 * share:.1f} %")
        figures[f"coverage_{name}"] = share
    for name, values in chance(market, question, "poor", chosen.splits).items():
        tenths = np.histogram(values, 10, (0, 1))[0]
        uniform = float(stats.kstest(values, "uniform").pvalue)
        print(f"A/A p-values of {name:10} in tenths {tenths.tolist()}, uniform: p {uniform:.2f}")
        figures[f"a_a_uniform_{name}"] = uniform
    rounded = {name: round(value, 5) for name, value in figures.items()}
    print(json.dumps({"bench": "market_trust", "config": vars(chosen), "figures": rounded, "ratios": {}}))


if __name__ == "__main__":
    main(sys.argv[1:])
