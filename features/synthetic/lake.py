"""A synthetic lake, published as a whole: raw tables under `raw`, the true probabilities under `truth`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path

from pyarrow.dataset import dataset
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError
from camoe.contracts.files import publish_folder, write_json
from features.synthetic.campaigns import campaign_log, campaigns, with_campaign
from features.synthetic.config import LakeConfig
from features.synthetic.faults import (
    IMPRESSION_COLUMNS,
    NO_FAULT,
    faulty_outcomes,
    impression_fault,
    impression_log,
    outcome_fault,
)
from features.synthetic.market import (
    CANDIDATE_COLUMNS,
    TRUTH_KEYS,
    candidates,
    market_campaigns,
    request_log,
    requests,
)
from features.synthetic.outcomes import outcome_log, truth
from features.synthetic.response import SCORE, intercepts, own_column, with_probabilities, with_score
from features.synthetic.sessions import (
    LATE_CONTEXT_S,
    Span,
    context_log,
    impressions,
    log_span,
    request_span,
    with_context,
    with_genre,
)
from features.synthetic.users import user_log, with_user_state

MANIFEST = "lake.json"
STAGING = ".lake-staging"
ROWS_PER_TASK = 500_000
WHOLE_STAGE = "spark.sql.codegen.wholeStage"
CONTEXT = ("_start", "_gap", "_position", "_segment", "focus", "content", "device", "connection", "genre")


def scored_impressions(spark: SparkSession, config: LakeConfig, tasks: int) -> DataFrame:
    """Return all impressions with their true state and `_score`, made in `tasks` tasks; one row an impression_id."""
    fixed = _campaigns(spark, config)
    timed = with_context(_rows_of(spark, config, log_span(config), tasks), config)
    known = with_genre(with_user_state(timed, config), config)
    return with_score(with_campaign(known, fixed, config), config)


def _rows_of(spark: SparkSession, config: LakeConfig, span: Span, tasks: int) -> DataFrame:
    last = span.first_session + span.sessions
    sessions = spark.range(span.first_session, last, 1, tasks).withColumnRenamed("id", "session_id")
    return impressions(sessions, config, span)


def check_replaceable(config: LakeConfig) -> None:
    """Raise `ConfigError` when another lake lies where this one goes and `replace` is not set."""
    raw = config.layout.raw
    if config.replace or not raw.exists():
        return
    manifest = raw / MANIFEST
    found = json.loads(manifest.read_text(encoding="utf-8"))["identity"] if manifest.is_file() else None
    if found != config.identity():
        what = "a lake of another seed or configuration" if found else "something that is no synthetic lake"
        raise ConfigError(f"{raw} holds {what}; give --replace to replace it, or another out=")


def make_lake(spark: SparkSession, config: LakeConfig, tasks: int | None = None) -> dict[str, dict[str, int]]:
    """Write the lake under `config.out` and return its row counts: by table, and by kind of injected fault.

    Everything is written into a folder beside it first and renamed at the end, the raw folder last: a run that is
    killed leaves the old lake or none. `tasks` is the number of tasks (default: by cores and size); the content
    does not depend on it.

    Raises:
        ConfigError: another lake is there and `replace` is not set, or an effect names an unknown column.
    """
    check_replaceable(config)
    staging = config.out / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    chosen = tasks or max(spark.sparkContext.defaultParallelism, -(-config.impressions // ROWS_PER_TASK))
    with _compiled_in_parts(spark):
        counts = _write(spark, config, staging, chosen)
    _swap_in(staging, config)
    return counts


@contextmanager
def _compiled_in_parts(spark: SparkSession) -> Iterator[None]:
    """Switch whole-stage code generation off: it makes one method of all draws, too large for the JVM to compile."""
    before = spark.conf.get(WHOLE_STAGE)
    spark.conf.set(WHOLE_STAGE, "false")
    try:
        yield
    finally:
        spark.conf.set(WHOLE_STAGE, str(before))


def _write(spark: SparkSession, config: LakeConfig, staging: Path, tasks: int) -> dict[str, dict[str, int]]:
    own = [own_column(name) for name in config.signal.objectives]
    made = scored_impressions(spark, config, tasks).select(*IMPRESSION_COLUMNS, *CONTEXT, SCORE, *own)
    made.write.parquet(str(staging / "scored"))
    scored = spark.read.parquet(str(staging / "scored"))
    shifts = intercepts(scored, config)
    shown = with_probabilities(scored, config, shifts)
    for name, table in _tables(spark, shown, config).items():
        table.write.parquet(str(staging / "raw" / name))
    truth(shown, config).write.parquet(str(staging / "truth"))
    if config.market is not None:
        _write_market(spark, config, staging, tasks, shifts)
    counts = _counts(spark, staging, shown, config)
    manifest = {"identity": config.identity(), "intercepts": shifts, **counts}
    write_json(staging / "raw" / MANIFEST, {**manifest, "config": config.model_dump(mode="json")})
    return counts


def _write_market(
    spark: SparkSession, config: LakeConfig, staging: Path, tasks: int, shifts: dict[str, dict[str, float]]
) -> None:
    """Write the market's tables, and add the contexts of its requests to the others."""
    fixed = _campaigns(spark, config)
    asked = requests(_rows_of(spark, config, request_span(config), tasks), fixed, config)
    context_log(asked, config).write.mode("append").parquet(str(staging / "raw" / "contexts"))
    request_log(asked).write.parquet(str(staging / "market" / "requests"))
    market_campaigns(fixed, config).coalesce(1).write.parquet(str(staging / "market" / "campaigns"))
    offered = candidates(asked, fixed, config, shifts)
    # Computed once for two tables.
    offered.write.parquet(str(staging / "offered"))
    made = spark.read.parquet(str(staging / "offered"))
    made.select(*CANDIDATE_COLUMNS).write.parquet(str(staging / "market" / "candidates"))
    made.select(*TRUTH_KEYS, *config.signal.objectives).write.parquet(str(staging / "market_truth"))


def _campaigns(spark: SparkSession, config: LakeConfig) -> DataFrame:
    return campaigns(spark.range(config.campaigns).withColumnRenamed("id", "campaign_id"), config)


def _tables(spark: SparkSession, shown: DataFrame, config: LakeConfig) -> dict[str, DataFrame]:
    users = spark.range(config.users).withColumnRenamed("id", "user_id")
    fixed = _campaigns(spark, config)
    return {
        "impressions": impression_log(shown, config),
        "outcomes": faulty_outcomes(outcome_log(shown, config), config),
        "users": user_log(users, config),
        "contexts": context_log(shown, config),
        "campaigns": campaign_log(fixed, config).coalesce(1),
    }


def _counts(spark: SparkSession, staging: Path, shown: DataFrame, config: LakeConfig) -> dict[str, dict[str, int]]:
    raw, market = staging / "raw", staging / "market"
    folders = [*sorted(raw.iterdir()), staging / "truth", *(sorted(market.iterdir()) if market.exists() else [])]
    rows = {_named(folder, staging): dataset(folder).count_rows() for folder in folders}
    contexts = spark.read.parquet(str(raw / "contexts"))
    late = F.col("available_at") - F.col("ts") >= F.make_dt_interval(secs=F.lit(LATE_CONTEXT_S))
    named = [
        shown.select(impression_fault(config).alias("fault")),
        outcome_log(shown, config).select(outcome_fault(config).alias("fault")),
        contexts.where(late).select(F.lit("late_contexts").alias("fault")),
        *[_corrected(spark.read.parquet(str(raw / f"{name}s")), f"{name}_id") for name in ("user", "campaign")],
    ]
    counted = reduce(DataFrame.unionAll, named).groupBy("fault").count().collect()
    found = {row["fault"]: row["count"] for row in counted}
    return {"rows": rows, "faults": {name: found[name] for name in sorted(found) if name != NO_FAULT}}


def _named(folder: Path, staging: Path) -> str:
    return f"market_{folder.name}" if folder.parent == staging / "market" else folder.name


def _corrected(log: DataFrame, key: str) -> DataFrame:
    """Return a row `late_corrections` for each version that has two."""
    twice = log.groupBy(key, "ts").count().where(F.col("count") > 1)
    return twice.select(F.lit("late_corrections").alias("fault"))


def _swap_in(staging: Path, config: LakeConfig) -> None:
    layout = config.layout
    # The raw folder last: with it the lake is there.
    folders = (layout.raw, layout.truth, layout.market, layout.market_truth)
    for old in folders:
        if old.exists():
            old.rename(staging / f"old-{old.name}")
    for new in reversed(folders):
        if (staging / new.name).exists():
            publish_folder(staging / new.name, new)
    shutil.rmtree(staging)
