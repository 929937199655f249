"""Raw lake -> checked, joined, encoded Delta training table, with a quarantine table and an encoder.

spark-submit --properties-file conf/spark/local.conf jobs/build_features.py out=out/mine input=/data/lake
Default days: all that the configuration names. Some: --days 2026-03-02,2026-03-05..2026-03-07
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from camoe.config import Config, given, load_config, parse, parser
from camoe.config.command_line import given_days, given_run_id, next_line
from camoe.config.ending import exit_with
from camoe.contracts.places import counts
from camoe.contracts.shown.commands import job_line
from features.spark.told import told

if TYPE_CHECKING:
    from features.plan import Plan


def options() -> argparse.ArgumentParser:
    """Return the parser of the job's command line."""
    made = parser(__doc__ or "")
    made.add_argument("--days", type=given_days, help="days to build (default: all configured ones)")
    made.add_argument("--as-of", type=datetime.fromisoformat, metavar="TIME", help="what was known then (ISO)")
    made.add_argument("--run-id", type=given_run_id, help="repeat it to try a run again: a run commits once")
    made.add_argument("--missing", action="store_true", help="leave out days that the table has already")
    made.add_argument("--cascade", action="store_true", help="also build days that would be stale after the run")
    made.add_argument("--encoder", choices=("grow", "fit", "keep"), default="grow", help="fit: only that; keep: no fit")
    made.add_argument("--accept", default="", metavar="REASON", help="why to write what lies under a floor")
    made.add_argument("--replace", action="store_true", help="replace a training table that has other settings")
    return made


def plan_of(chosen: argparse.Namespace, config: Config) -> Plan | None:
    """Return the run that the command line asks for; None where the table lacks none of its days."""
    from features.incremental import without_built
    from features.plan import plan_for

    days = chosen.days or (config.days.train.days() if chosen.encoder == "fit" else config.days.all_days())
    days = without_built(config.layout.table, days) if chosen.missing else days
    if not days:
        return None
    plan = replace(plan_for(config, days, chosen.as_of, chosen.run_id), keeps_encoder=chosen.encoder == "keep")
    return replace(plan, replace=chosen.replace, cascade=chosen.cascade, accept=chosen.accept)


def main(argv: list[str]) -> None:
    """Build the features of the chosen days."""
    started = time.monotonic()
    chosen = parse(made := options(), argv)
    if chosen.missing and chosen.replace:
        made.error("--replace builds a table anew, and --missing keeps what is there; leave one out")
    if chosen.encoder == "fit" and (chosen.days or chosen.missing):
        made.error("--encoder fit takes all training days; leave out --days and --missing")
    from camoe.contracts.shown.terminal import console
    from camoe.report.feature_page import write_feature_report
    from camoe.report.feature_terminal import feature_table
    from features.after_commit import after_commit, committed_before
    from features.build import build, fit
    from features.check.inputs import require_input
    from features.plan import JOB, finished
    from features.spark.session import spark_session
    from features.tables.attempt import only_attempt

    config = load_config(chosen, reads_input=True)
    plan = plan_of(chosen, config)
    if plan is None:
        print(f"{config.layout.table} has all of these days; nothing to do")
        return
    with only_attempt(plan.layout.runs, plan.run_id):
        earlier = finished(plan)
        if earlier is not None:
            print(committed_before(plan, earlier))
            return
        with plan.copies():
            require_input(plan)
            spark = spark_session(JOB, plan.layout.logs)
            if chosen.encoder == "fit":
                print(fit(spark, plan))
                return
            built = build(spark, plan)
        seconds = time.monotonic() - started
        with after_commit(plan, built.commit.version):
            counts.record(config.layout.counts, JOB, {**built.counts(), "seconds": round(seconds, 1)})
            page = write_feature_report(built.report, config.layout.feature_report)[1]
    console().print(feature_table(built.report))
    print(built.summary(job_line("build_features", given(chosen))))
    print(f"report      {page}, counts {config.layout.counts}\ntook        {seconds:.1f} s")
    print(next_line(job_line("train", given(chosen))), flush=True)


if __name__ == "__main__":
    exit_with(told(main))
