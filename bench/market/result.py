"""What CAMoE is worth in the market against one head, a shared bottom and no masking, as the published table tells it.

python -m bench.market.result --lake out/market --out out/market_result --seeds 1 2 3
The lake has a market and its features (conf/lake/market.yaml; docs/market.md). For each seed each variant is trained on
the lake's table, scores the market's candidates by jobs/score.py, and meets CAMoE by jobs/simulate.py; what is there
already is not made again. The shared bottom has as many parameters as CAMoE. Prints the tables in Markdown; the pages
lie in OUT/pages.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.layout import Layout
from camoe.contracts.shown.commands import SUBMIT
from camoe.contracts.snapshot import logged
from camoe.report.text import DASH
from camoe.study.network import parameters

CONFIG = "conf/synthetic.yaml"
TREATED, BOTTOM = "camoe", "shared_bottom"
VARIANTS: Mapping[str, tuple[str, ...]] = {
    TREATED: (),
    "one_head": ("heads=conf/heads/single.yaml",),
    BOTTOM: ("model=conf/model/shared_bottom.yaml",),
    "no_mask": ("training.mask=false",),
}
# The whole market, then the split of budgets.
COLUMNS = ("CAMoE against", "queue", "seed", *("CTR", "95 %", "p", "eCPC", "95 %", "p") * 2)
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def scored(lake: Path, out: Path, name: str, seed: int) -> Path:
    """Train a variant and let it score the market's candidates; return the table of its predictions."""
    own = Layout(out / f"{name}_{seed}")
    given = (f"lake={lake}", f"out={own.root}")
    places = ("--config", CONFIG, *given)
    if not own.bundle.exists():
        size = (f"model.match_parameters={_size(given)}",) if name == BOTTOM else ()
        _run(sys.executable, "jobs/train.py", "-np", "1", *places, f"training.seed={seed}", *VARIANTS[name], *size)
    if not own.candidate_predictions.exists():
        _run(*SUBMIT.split(), "jobs/score.py", *places, "--input", str(Layout(lake).market / "candidates"))
    return own.candidate_predictions


def _size(places: Sequence[str]) -> int:
    config = load(CONFIG, Config, list(places))
    return parameters(config, logged(config.training_table).version)


def compared(lake: Path, out: Path, control: str, seed: int, charge: str) -> Mapping[str, Any]:
    """Let CAMoE meet `control` in the market; return the document of the page."""
    page = out / "pages" / f"{charge}_{control}_{seed}"
    if not (page / "market.json").exists():
        models = ", ".join(f"{name}: {scored(lake, out, name, seed)}" for name in (TREATED, control))
        chosen = (f"models={{{models}}}", f"experiment.control={control}", f"experiment.treated={TREATED}")
        _run(sys.executable, "jobs/simulate.py", f"market={lake}", f"out={page}", f"rules.charge={charge}", *chosen)
    found: Mapping[str, Any] = json.loads((page / "market.json").read_text(encoding="utf-8"))
    return found


def rows(document: Mapping[str, Any], seed: int) -> list[str]:
    """Return the row of `COLUMNS` of each queue, by expected clicks; p of the split is Holm's over the queues."""
    made = []
    for queue in document["queues"]:
        of = {row["rate"]: row for row in document["result"] if (row["queue"], row["outcome"]) == (queue, "expected")}
        cells = [document["run"]["control"], queue, str(seed)]
        for change, interval, p in (("truth", "truth_interval", "truth_p"), ("change", "interval", "p_holm")):
            for rate in ("ctr", "ecpc"):
                row = of[rate]
                cells += [_change(row[change]), " to ".join(map(_change, row[interval] or [])) or DASH, _p(row[p])]
        made.append("| " + " | ".join(cells) + " |")
    return made


def power(document: Mapping[str, Any]) -> str:
    """Return what the split of this size sees, told before it."""
    told = (
        f"{row['queue']} {_change(row['expected']['smallest'])} ({_change(row['drawn']['smallest'])})"
        for row in document["power"]
    )
    return f"Smallest change of the CTR that the split sees by expected (drawn) clicks: {', '.join(told)}"


def _change(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:+.1f} %"


def _p(value: float | None) -> str:
    return DASH if value is None else "< .001" if value < 0.001 else f"{value:.3f}"


def _run(*command: str) -> None:
    print(" ".join(command), file=sys.stderr, flush=True)
    subprocess.run(command, check=True, stdout=sys.stderr)


def main(argv: list[str]) -> None:
    """Make what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, required=True, help="folder of the lake and its tables")
    parser.add_argument("--out", type=Path, required=True, help="folder of models, predictions and pages")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--charges", nargs="+", default=["impression", "click"])
    chosen = parser.parse_args(argv)
    for charge in chosen.charges:
        print(f"\nCharged per {charge}\n")
        found = [
            (compared(chosen.lake, chosen.out, control, seed, charge), seed)
            for seed in chosen.seeds
            for control in VARIANTS
            if control != TREATED
        ]
        print(power(found[0][0]) + "\n", HEAD, sep="\n")
        for document, seed in sorted(found, key=lambda pair: list(VARIANTS).index(pair[0]["run"]["control"])):
            print("\n".join(rows(document, seed)))


if __name__ == "__main__":
    main(sys.argv[1:])
