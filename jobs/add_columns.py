"""Add features to days that are built, or make changed ones anew: other columns, labels and rows stay as they are.

spark-submit --properties-file conf/spark/local.conf jobs/add_columns.py --columns genre,plays out=out/mine
The features file declares them. Default days: all that the configuration names. Some: --days 2026-03-02..2026-03-07
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from camoe.config import Config, given, load_config, parse, parser
from camoe.config.command_line import given_days, given_names, given_run_id, next_line
from camoe.config.ending import exit_with
from camoe.contracts.places import counts
from camoe.contracts.shown.commands import job_line
from features.spark.told import told

if TYPE_CHECKING:
    from features.plan import Plan


def options() -> argparse.ArgumentParser:
    """Return the parser of the job's command line."""
    made = parser(__doc__ or "")
    made.add_argument("--columns", type=given_names, required=True, help="features, or columns of targets: a,b,c")
    made.add_argument("--days", type=given_days, help="built days to add them to (default: all configured ones)")
    made.add_argument("--missing", action="store_true", help="leave out days that have them already, or are not built")
    made.add_argument("--run-id", type=given_run_id, help="repeat it to try a run again: a run commits once")
    made.add_argument("--accept", default="", metavar="REASON", help="why to write what lies under a floor")
    return made


def plan_of(chosen: argparse.Namespace, config: Config) -> Plan | None:
    """Return the run that the command line asks for; None where no day lacks the columns."""
    from features.columns.built import lacking_days, named_features
    from features.plan import plan_for

    days, added = chosen.days or config.days.all_days(), named_features(config.features, chosen.columns)
    days = lacking_days(config.layout, config.features, days, added) if chosen.missing else days
    if not days:
        return None
    return replace(plan_for(config, days, run_id=chosen.run_id), accept=chosen.accept, added=added)


def main(argv: list[str]) -> None:
    """Add the columns to the chosen days."""
    started = time.monotonic()
    chosen = parse(options(), argv)
    from features.after_commit import after_commit
    from features.columns.run import STAGE, add_columns
    from features.plan import finished
    from features.spark.session import spark_session
    from features.tables.attempt import only_attempt

    config = load_config(chosen, reads_input=True)
    plan = plan_of(chosen, config)
    if plan is None:
        print(f"no built day of these lacks {', '.join(chosen.columns)}; nothing to do")
        return
    with only_attempt(plan.layout.runs, plan.run_id):
        earlier = finished(plan)
        if earlier is not None:
            print(f"run {plan.run_id} has added its columns already, on {earlier.built:%Y-%m-%d %H:%M}; nothing to do")
            return
        with plan.copies():
            built = add_columns(spark_session(STAGE, plan.layout.logs), plan)
        seconds = time.monotonic() - started
        with after_commit(plan, built.commit.version):
            counts.record(config.layout.counts, STAGE, {**built.counts(), "seconds": round(seconds, 1)})
    print(built.summary(job_line("build_features", given(chosen))))
    print(f"took        {seconds:.1f} s, counts {config.layout.counts}")
    print(next_line(job_line("train", given(chosen))), flush=True)


if __name__ == "__main__":
    exit_with(told(main))
