"""Score the impressions of given days, each by the head of its slot, into a Delta table.

spark-submit --properties-file conf/spark/local.conf jobs/score.py --config conf/synthetic.yaml out=out/synthetic
Without Spark, in this process:  python jobs/score.py --local --config conf/synthetic.yaml out=out/synthetic
Candidates without outcome (request_id, campaign_id, raw columns) in parquet:  --input out/market/market/candidates

The model is the champion, with its shadows beside it (jobs/models.py), and the newest bundle where there is none.
Exit code 3: the days differ from the model's by more than the declared bounds (drift).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from camoe.config.command_line import given, given_days, given_place, load_config, next_line, parse, parser
from camoe.config.ending import exit_with
from camoe.contracts.places.pins import pinned_here
from camoe.contracts.runs import active_records, require_fresh
from camoe.contracts.shown.commands import job_line
from camoe.contracts.snapshot import logged, opened
from features.spark.told import told

if TYPE_CHECKING:
    from camoe.config.pipeline import Config
    from camoe.score.drift import Watch
    from camoe.score.impressions import Rows
    from camoe.score.seen import Seen, Work


def main(argv: list[str]) -> None:
    """Pin the table, score the days, check that every row was scored."""
    options = parser(__doc__ or "")
    options.add_argument("--days", type=given_days, help="2026-03-10,2026-03-12..2026-03-14 (default: the test days)")
    options.add_argument("--local", action="store_true", help="score in this process, without Spark")
    options.add_argument("--input", type=given_place, metavar="TABLE", help="score the candidates of a parquet table")
    options.add_argument("--model", help="version, bundle folder or newest (default: champion, shadows; else newest)")
    options.add_argument("--strict", action="store_true", help="write nothing where the days differ beyond the bounds")
    chosen = parse(options, argv)
    if chosen.local and chosen.input:
        options.error("--local scores impressions; candidates (--input) need Spark")
    from camoe.score.drift import Watch
    from camoe.score.impressions import Rows, score_impressions
    from camoe.score.local import score_locally
    from camoe.score.scored import score_served
    from features.report.drift import feature_shifts

    config = load_config(chosen)
    layout, days = config.layout, tuple(chosen.days or config.days.test.days())
    table, watch = logged(config.training_table), Watch(config.drift, layout.drift, strict=chosen.strict)
    if chosen.input is not None:
        watch = replace(watch, folder=layout.drift / "candidates")
        rows = Rows(table, days, active_records(table, layout.runs), layout.candidate_predictions)
        _score_candidates(config, chosen.input, chosen.model, rows, watch)
        return
    rows = Rows(opened(table, days).on(days), days, active_records(table, layout.runs), config.predictions_table)
    require_fresh(rows.records, days, f"{table.table} version {table.version}")
    watch = replace(watch, shifts_of=partial(feature_shifts, layout.profiles, rows.records, days))
    write = score_locally if chosen.local else partial(_spark, layout.logs)
    with pinned_here(layout.pins, layout.training, config.training_table, table.version, job="score", why="scores it"):
        score = partial(score_impressions, rows=rows, layout=layout, write=write, watch=watch)
        score_served(layout, chosen.model, score)
    print(next_line(job_line("evaluate", given(chosen))))


def _score_candidates(config: Config, given_in: Path, name: str | None, rows: Rows, watch: Watch) -> None:
    """Score candidates as impressions of the days, with each model's own vocabulary, into a table of their own."""
    from camoe.score import impressions, scored, spark
    from features.candidates import opened_candidates
    from features.plan import plan_for
    from features.spark.session import spark_session

    plan, layout, features = plan_for(config, rows.days), config.layout, config.features
    scored.require_served(layout, name, features)
    with plan.copies(given_in), opened_candidates(spark_session("score", layout.logs), plan, given_in) as offered:
        watch = replace(watch, shifts_of=offered.shifts_of(rows.records))
        given_to = partial(impressions.score_candidates, rows=rows, layout=layout, watch=watch, features=features)
        score = partial(given_to, write=partial(spark.score_candidates, offered.encoded))
        scored.score_served(layout, name, score, "score candidates")


def _spark(logs: Path, work: Work) -> tuple[dict[str, int], Seen]:
    """Write the predictions; their rows by slot, and what was seen of them."""
    from camoe.score.spark import score_impressions
    from features.spark.failures import as_input_errors
    from features.spark.progress import step
    from features.spark.session import spark_session

    spark, what = spark_session("score", logs), f"score: {work.snapshot.rows:,} impressions"
    remedy = "if a file is damaged or gone, build its day again (jobs/build_features.py), then score again"
    with step(spark.sparkContext, what), as_input_errors("cannot score", remedy):
        return score_impressions(spark, work)


if __name__ == "__main__":
    exit_with(told(main))
