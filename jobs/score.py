"""Score the impressions of given days with the model bundle, each by the head of its slot, into a Delta table.

spark-submit --properties-file conf/spark/local.conf jobs/score.py --config conf/synthetic.yaml out=out/synthetic
Default days: the test days. Others: --days 2026-03-10,2026-03-11
Without Spark, in this process:  python jobs/score.py --local --config conf/synthetic.yaml out=out/synthetic
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from camoe.config import given, given_days, job_line, load_config, next_line, parse, parser
from camoe.config.ending import exit_with
from camoe.contracts import encoder as encoders
from camoe.contracts.places import counts
from camoe.contracts.places.alone import days_alone
from camoe.contracts.places.pins import pinned
from camoe.contracts.runs import active_records, encoder_version, require_fresh
from camoe.contracts.snapshot import Snapshot, logged, opened
from features.spark.told import told

if TYPE_CHECKING:
    from camoe.score.scorer import ScoringModel
    from camoe.score.unknown import Unknown

Counts = dict[str, int]


def main(argv: list[str]) -> None:
    """Pin the table, score the days, check that every row was scored."""
    started = time.monotonic()
    options = parser(__doc__ or "")
    options.add_argument("--days", type=given_days, help="2026-03-10,2026-03-12..2026-03-14 (default: the test days)")
    options.add_argument("--local", action="store_true", help="score in this process, without Spark")
    chosen = parse(options, argv)
    from camoe.score.predictions import require_writable
    from camoe.score.scorer import expected_predictions, read_model, require_fit, require_vocabulary

    config = load_config(chosen)
    days = tuple(chosen.days or config.days.test.days())
    layout, model = config.layout, read_model(config.layout.bundle)
    table = logged(layout.training)
    snapshot = opened(table, days).on(days)
    require_fit(model, snapshot)
    runs = active_records(table, layout.runs)
    require_fresh(runs, days, f"{table.table} version {table.version}")
    require_vocabulary(model, encoders.read(layout.encoder, encoder_version(runs)))
    version = model.manifest.model_version
    require_writable(layout.predictions, snapshot)
    pin = pinned(layout.pins, layout.training, snapshot.version, "score", "scoring reads it")
    with days_alone(layout.leases, version, days), pin:
        by_slot, unknown = (_locally if chosen.local else _with_spark)(model, snapshot, days, layout.predictions)
    counts.require_equal("rows scored", expected_predictions(model, snapshot), sum(by_slot.values()))
    seconds = time.monotonic() - started
    counts.record(
        layout.counts, "score",
        {"rows_of_the_days": snapshot.rows, "objectives": len(model.spec.heads.objectives),
         "rows_scored": sum(by_slot.values()), "by_slot": dict(sorted(by_slot.items())),
         "unknown_categories": unknown.counts(), "days": [day.isoformat() for day in days],
         "model_version": version, "seconds": round(seconds, 1)},
    )  # fmt: skip
    print(f"score: {sum(by_slot.values()):,} predictions of {len(days)} days with model {version}")
    print(f"score: categories that the model does not know: {unknown}")
    print(f"score: written to {layout.predictions} in {seconds:.0f} s")
    print(next_line(job_line("evaluate", given(chosen))))


def _with_spark(model: ScoringModel, snapshot: Snapshot, days: tuple[date, ...], path: Path) -> tuple[Counts, Unknown]:
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


def _locally(model: ScoringModel, snapshot: Snapshot, days: tuple[date, ...], path: Path) -> tuple[Counts, Unknown]:
    """Write the predictions; their rows by slot, and what of the impressions the model does not know."""
    from camoe.score.delta import predictions_by_slot, replace_predictions
    from camoe.score.local import score_snapshot
    from camoe.score.unknown import Unknown

    unknown = Unknown()
    tables, version = score_snapshot(model, snapshot, days, unknown), model.manifest.model_version
    replace_predictions(tables, snapshot, path, days, version, scored_at=datetime.now(UTC))
    return predictions_by_slot(path, days, version), unknown


if __name__ == "__main__":
    exit_with(told(main))
