"""Make a synthetic raw lake with known probabilities.

spark-submit --properties-file conf/spark/local.conf jobs/make_lake.py out=out/mine impressions=50000 seed=7

The same configuration and seed give the same
content on any machine. Written: OUT/raw (impressions, outcomes, users, contexts, campaigns, lake.json) and
OUT/truth (the true probability of every impression and objective, never read by the features).
"""

from __future__ import annotations

import time

from camoe.config.command_line import described, next_line
from camoe.config.ending import exit_with
from camoe.contracts.config_file import load
from camoe.contracts.places import counts
from camoe.contracts.shown.commands import DEFAULT_LAKE, job_line
from features.spark.told import told
from features.synthetic.config import LakeConfig


def main(arguments: list[str]) -> None:
    """Make the lake that the command line names."""
    parser = described(__doc__ or "")
    parser.add_argument("--config", default=DEFAULT_LAKE, help=f"lake configuration (default: {DEFAULT_LAKE})")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="for example impressions=10000 seed=7")
    parser.add_argument("--replace", action="store_true", help="replace a lake of another seed or configuration")
    parsed = parser.parse_intermixed_args(arguments)
    from features.spark.session import spark_session
    from features.synthetic.lake import check_replaceable, make_lake

    replace = ["replace=true"] if parsed.replace else []
    config = load(parsed.config, LakeConfig, [*parsed.overrides, *replace])
    check_replaceable(config)
    counts.require_readable(config.layout.counts)
    spark = spark_session("make_lake", config.layout.logs)
    started = time.monotonic()
    made = make_lake(spark, config)
    counts.record(config.layout.counts, "make_lake", {"identity": config.identity(), "seed": config.seed, **made})
    print(summary(config, made, time.monotonic() - started))
    spark.stop()


def summary(config: LakeConfig, made: dict[str, dict[str, int]], seconds: float) -> str:
    """Return what was written, where, and what to run next."""
    rows = [f"  {name:<12} {count:>14,}" for name, count in made["rows"].items()]
    faults = ", ".join(f"{name} {count:,}" for name, count in made["faults"].items())
    return "\n".join(
        [
            f"Synthetic lake in {config.layout.raw}, truth in {config.layout.truth} ({seconds:.1f} s), rows:",
            *rows,
            f"Injected faults: {faults}",
            next_line(job_line("build_features", "" if str(config.out) == "out/synthetic" else f"out={config.out}")),
        ]
    )


if __name__ == "__main__":
    exit_with(told(main))
