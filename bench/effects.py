"""How much of each effect planted in the synthetic lake a model has learned; the last line printed is one JSON object.

python -m bench.effects --config conf/synthetic.yaml out=out/synthetic [--objective click] [--table FILE.md]

Reads the predictions of the bundle on the test days. `slope` is how far the model's log-odds follow the effect, with
all other effects held: 1 is all of it. A cross counts without what its columns tell one by one. `share learned` is the
share of the effect's variance that the model explains, `NE missing` what it loses by the rest. Intervals are of 95 %,
over users.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from bench.signal.learned import Learned, learned, normalised_entropy
from bench.signal.rows import Impressions, read_impressions
from camoe.bundle.manifest import read_manifest
from camoe.config.command_line import load_config, parse, parser
from camoe.config.ending import exit_with
from features.spark.settings import SETTINGS

HEADS = ("effect", "size", "slope", "share learned", "NE missing")


def figures(impressions: Impressions) -> dict[str, Any]:
    """Return what the model has learned of the impressions of one modality, and its NE beside that of the truth."""
    found = learned(impressions.p, impressions.truth, impressions.terms, impressions.slot, impressions.user)
    return {
        "impressions": len(impressions.p),
        "ne": normalised_entropy(impressions.truth, impressions.p),
        "ne_truth": normalised_entropy(impressions.truth, impressions.truth),
        "effects": [asdict(one) for one in found],
    }


def table(by_modality: dict[str, dict[str, Any]]) -> str:
    """Return the figures in Markdown."""
    text = ""
    for modality, found in by_modality.items():
        text += (
            f"\n{modality}: {found['impressions']:,} impressions, expected NE {found['ne']:.4f}, "
            f"of the truth {found['ne_truth']:.4f}\n\n"
        )
        lines = [HEADS, ("---",) * len(HEADS), *(_line(Learned(**one)) for one in found["effects"])]
        text += "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text


def _line(one: Learned) -> tuple[str, ...]:
    slope = f"{one.slope:.2f} ({one.slope_low:.2f} to {one.slope_high:.2f})"
    share = f"{one.share:.0%} ({one.share_low:.0%} to {one.share_high:.0%})"
    return one.effect, f"{one.size:.2f}", slope, share, f"{one.missing:+.4f}"


def _spark() -> SparkSession:
    """Start Spark in this process; the draws of the lake make one method too large for the JVM to compile."""
    own = {"spark.sql.codegen.wholeStage": "false", "spark.driver.memory": "4g", "spark.ui.enabled": "false"}
    spark = SparkSession.builder.master("local[*]").config(map={**SETTINGS, **own}).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def main(argv: list[str]) -> None:
    """Compare the model of the configuration's bundle with the truth, effect by effect."""
    options = parser(__doc__ or "")
    options.add_argument("--objective", default="click")
    options.add_argument("--table", type=Path, help="where to write the table in Markdown")
    chosen = parse(options, argv)
    config = load_config(chosen)
    version = read_manifest(config.layout.bundle.resolve()).model_version
    rows = read_impressions(_spark(), config, chosen.objective, version)
    found = {modality: figures(part) for modality, part in rows.items()}
    if chosen.table is not None:
        chosen.table.write_text(table(found))
    print(table(found), file=sys.stderr)
    what = {"config": chosen.config, "objective": chosen.objective, "model": version}
    print(json.dumps({"bench": "effects", "config": what, "figures": found, "ratios": {}}))


if __name__ == "__main__":
    exit_with(main)
