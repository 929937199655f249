"""Make a market of a log: its impressions ask again, for ads whose candidates, bids and budgets are made up.

spark-submit --properties-file conf/spark/local.conf jobs/replay.py --config conf/kuairand.yaml input=LOG out=out/replay
Then jobs/score.py --input OUT/market/candidates scores them by each model, one of which, trained on other days, stands
for the truth in jobs/simulate.py (outcomes). Written: OUT/market. docs/market.md says what this shows and what not.
"""

from __future__ import annotations

import shutil
import time

from camoe.config.command_line import given_days, load_config, next_line, parse, parser
from camoe.config.ending import exit_with
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from camoe.contracts.files import RemotePath, publish_folder, remove_folder, staged, whole_at
from camoe.contracts.shown.commands import job_line
from features.spark.told import told

DEFAULT_REPLAY = "conf/markets/replay.yaml"


def main(argv: list[str]) -> None:
    """Write the market of the test days, or of those given."""
    options, started = parser(__doc__ or ""), time.monotonic()
    options.add_argument("--days", type=given_days, help="2022-04-29,2022-04-30 (default: the test days)")
    options.add_argument("--market", default=DEFAULT_REPLAY, help=f"what is made up (default: {DEFAULT_REPLAY})")
    options.add_argument("--replace", action="store_true", help="replace a market that is there")
    chosen = parse(options, argv)
    from features.plan import plan_for
    from features.replay import Replay, replayed
    from features.spark.session import spark_session

    config = load_config(chosen, reads_input=True)
    target, replay = config.layout.market, load(chosen.market, Replay, [])
    if target.exists() and not chosen.replace:
        raise ConfigError(f"{target} is there; give --replace to replace it, or another out=")
    plan = plan_for(config, tuple(chosen.days or config.days.test.days()))
    spark = spark_session("replay", config.layout.logs)
    rows = {}
    # Where the market goes into a store, Spark writes its files to the disk that all of its machines see.
    in_store = isinstance(target, RemotePath)
    beside = config.layout.work if in_store else target.parent
    with plan.copies(), staged(beside / f".staging-{target.name}") as staging:
        for name, table in replayed(spark, plan, replay).items():
            table.write.parquet(str(staging / name))
            rows[name] = spark.read.parquet(str(staging / name)).count()
        remove_folder(target) if in_store else shutil.rmtree(target, ignore_errors=True)
        publish_folder(staging, target)
        shutil.rmtree(staging, ignore_errors=True)
    counted = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    print(f"replay: {counted} in {target} ({time.monotonic() - started:.1f} s)")
    candidates = whole_at(target) / "candidates"
    print(next_line(job_line("score", f"--config {chosen.config} --input {candidates}")))


if __name__ == "__main__":
    exit_with(told(main))
