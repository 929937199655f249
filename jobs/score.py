"""Score the impressions of given days with the model bundle, each by the head of its slot, into a Delta table.

spark-submit --properties-file conf/spark/local.conf jobs/score.py --config conf/synthetic.yaml out=out/synthetic
Without Spark, in this process:  python jobs/score.py --local --config conf/synthetic.yaml out=out/synthetic
Candidates without outcome (request_id, campaign_id, raw columns) in parquet:  --input out/market/market/candidates
"""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from camoe.config.command_line import given, given_days, load_config, next_line, parse, parser
from camoe.config.ending import exit_with
from camoe.contracts import encoder as encoders
from camoe.contracts.places.alone import days_alone
from camoe.contracts.places.counts import require_equal
from camoe.contracts.places.pins import pinned
from camoe.contracts.runs import active_records, encoder_version, require_fresh
from camoe.contracts.shown.commands import job_line
from camoe.contracts.snapshot import Snapshot, logged, opened
from features.spark.told import told

if TYPE_CHECKING:
    from camoe.config.pipeline import Config
    from camoe.score.scorer import ScoringModel
    from camoe.score.unknown import Unknown


def main(argv: list[str]) -> None:
    """Pin the table, score the days, check that every row was scored."""
    options, started = parser(__doc__ or ""), time.monotonic()
    options.add_argument("--days", type=given_days, help="2026-03-10,2026-03-12..2026-03-14 (default: the test days)")
    options.add_argument("--local", action="store_true", help="score in this process, without Spark")
    options.add_argument("--input", type=Path, metavar="TABLE", help="score the candidates in this parquet table")
    chosen = parse(options, argv)
    if chosen.local and chosen.input:
        options.error("--local scores impressions; candidates (--input) need Spark")
    from camoe.score import local, predictions, scorer
    from camoe.score.scored import Scored

    config = load_config(chosen)
    layout, days = config.layout, tuple(chosen.days or config.days.test.days())
    model, table = scorer.read_model(layout.bundle), logged(layout.training)
    if chosen.input is not None:
        _candidates(config, model, table, days, chosen.input)
        return
    snapshot, runs = opened(table, days).on(days), active_records(table, layout.runs)
    scorer.require_fit(model, snapshot)
    require_fresh(runs, days, f"{table.table} version {table.version}")
    scorer.require_vocabulary(model, encoders.read(layout.encoder, encoder_version(runs)))
    predictions.require_writable(layout.predictions, snapshot)
    pin = pinned(layout.pins, layout.training, snapshot.version, "score", "scoring reads it")
    with days_alone(layout.leases, model.manifest.model_version, days), pin:
        by_slot, unknown = (local.score_locally if chosen.local else _spark)(model, snapshot, days, layout.predictions)
    require_equal("rows scored", scorer.expected_predictions(model, snapshot), sum(by_slot.values()))
    took = time.monotonic() - started
    Scored(model, days, snapshot.rows, by_slot, unknown, layout.predictions, took).tell(layout.counts)
    print(next_line(job_line("evaluate", given(chosen))))


def _candidates(config: Config, model: ScoringModel, table: Snapshot, days: tuple[date, ...], given_in: Path) -> None:
    """Score candidates as impressions of `days`, with the model's own vocabulary, into a table of their own."""
    from camoe.score import scorer
    from camoe.score.scored import Scored
    from camoe.score.spark import score_candidates
    from features.candidates import encoded_candidates
    from features.plan import plan_for
    from features.spark.session import spark_session

    started, path, version = time.monotonic(), config.layout.candidate_predictions, model.manifest.model_version
    scorer.require_features(model, config.features.schema_hash(), "the configuration")
    plan, spark, encoder = plan_for(config, days), spark_session("score", config.layout.logs), scorer.own_encoder(model)
    with days_alone(config.layout.leases, version, days), encoded_candidates(spark, plan, given_in, encoder) as encoded:
        rows, by_slot, unknown = score_candidates(encoded, model, table, path, days)
    Scored(model, days, rows, by_slot, unknown, path, time.monotonic() - started).tell(config.layout.counts)


def _spark(
    model: ScoringModel, snapshot: Snapshot, days: tuple[date, ...], path: Path
) -> tuple[dict[str, int], Unknown]:
    """Write the predictions; their rows by slot, and what of the impressions the model does not know."""
    from camoe.score.spark import count_predictions, count_unknown, read_rows, score, write_predictions
    from features.spark.failures import as_input_errors
    from features.spark.progress import step
    from features.spark.session import spark_session

    spark, version = spark_session("score"), model.manifest.model_version
    remedy = "if a file is damaged or gone, build its day again (jobs/build_features.py), then score again"
    with step(spark.sparkContext, f"score: {snapshot.rows:,} impressions"), as_input_errors("cannot score", remedy):
        rows = read_rows(spark, snapshot, days, model)
        write_predictions(score(rows, model, snapshot), path, days, version, snapshot.rows_by_cell())
        return count_predictions(spark, path, days, version), count_unknown(rows, model)


if __name__ == "__main__":
    exit_with(told(main))
