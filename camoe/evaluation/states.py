"""Histogram states of a DataFrame in one pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.metrics.histogram import BINS_PER_LOGIT, P_MAX, P_MIN, Histogram, MetricError, merge
from camoe.metrics.table import ALL, StateKey

SUMS = ("count", "unknown", "invalid", "positives", "p_sum", "log_loss")


def group_states(table: pa.Table, groups: Sequence[str], buckets: int) -> dict[StateKey, Histogram]:
    """Build each predictor's states on each value of each group column, and on all rows, from the collected `cells`.

    Raises:
        MetricError: a probability or a label of the rows is none.
    """
    _refuse_invalid(table)
    states: dict[StateKey, Histogram] = {}
    for kind in (*groups, ALL):
        names = ["objective", "predictor", *([] if kind == ALL else [kind])]
        for key in table.group_by(names).aggregate([]).to_pylist():
            chosen = reduce(pc.and_, (pc.equal(table[name], key[name]) for name in names))
            group = StateKey(key["objective"], kind, key.get(kind, ALL), key["predictor"])
            states[group] = _state(table.filter(chosen), buckets)
    return states


def cells(frame: DataFrame, predictors: Mapping[str, str], groups: Sequence[str], buckets: int) -> DataFrame:
    """Sum rows to one per objective, predictor, combination of groups, user bucket and logit bin.

    `frame` has the columns objective, user_id, label (0, 1, null = unknown), the `groups`, and one probability column
    a predictor: `predictors` maps a name to its column.
    """
    scored = F.explode(
        F.array(
            *[
                F.struct(F.lit(name).alias("predictor"), F.col(column).cast("double").alias("p"))
                for name, column in predictors.items()
            ]
        )
    )
    keys = ("objective", "predictor", *groups, "bucket", "bin")
    rows = frame.select(
        "objective",
        *groups,
        F.col("label").cast("double").alias("label"),
        F.pmod(F.xxhash64("user_id"), F.lit(buckets)).alias("bucket"),
        scored.alias("scored"),
    ).select("objective", *groups, "label", "bucket", "scored.predictor", "scored.p")
    clipped = F.greatest(F.lit(P_MIN), F.least(F.lit(P_MAX), "p"))
    binned = rows.withColumns({"q": clipped}).withColumns(
        {"bin": F.floor(F.log(F.col("q") / (1 - F.col("q"))) * BINS_PER_LOGIT)}
    )
    return binned.groupBy(*keys).agg(*_sums()).select(*keys, *SUMS)


def _sums() -> tuple[Column, ...]:
    p, q, label = F.col("p"), F.col("q"), F.col("label")
    known = label.isNotNull()
    loss = -(label * F.log(q) + (1 - label) * F.log1p(-q))
    # NaN is greater than every number in Spark, so the range check sees it too.
    valid = p.isNotNull() & p.between(0.0, 1.0) & (label.isNull() | label.isin(0.0, 1.0))
    return (
        F.count("label").alias("count"),
        F.count_if(~known).alias("unknown"),
        F.count_if(~valid).alias("invalid"),
        F.count_if(label == 1.0).alias("positives"),
        F.sum(F.when(known, p).otherwise(0.0)).alias("p_sum"),
        F.sum(F.when(known, loss).otherwise(0.0)).alias("log_loss"),
    )


def _refuse_invalid(table: pa.Table) -> None:
    invalid = table.filter(pc.greater(table["invalid"], 0))
    if invalid.num_rows:
        names = ", ".join(sorted(set(invalid["predictor"].to_pylist())))
        rows = pc.sum(invalid["invalid"]).as_py()
        raise MetricError(f"{rows:,} rows have no probability from 0 to 1 by {names}, or a label other than 0 and 1")


def _state(table: pa.Table, buckets: int) -> Histogram:
    known = table.filter(pc.greater(table["count"], 0))
    entries = {name: known[name].to_numpy() for name in ("bucket", "bin", "count", "positives", "p_sum", "log_loss")}
    unknown = int(table["unknown"].to_numpy().sum())
    return merge([Histogram(buckets=buckets, unknown=unknown, **entries)], buckets)
