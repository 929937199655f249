"""The figures of all groups, each made where Spark has the group's states: the driver holds figures, not cells."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F
from scipy.special import gammaln

from camoe.evaluation.figures import Asked, Figures, Kept, group_figures
from camoe.evaluation.kept import states_of
from camoe.metrics.config import FieldConfig
from camoe.metrics.histogram import Floats, MetricError
from camoe.metrics.table import ALL, MODEL

GROUP = ("objective", "group_kind", "group")
FIGURES = "figures string, refused string"
FIELD_SUMS = "objective string, group_kind string, groups bigint, rows double, clicks double, gaps double, floor double"


@dataclass(frozen=True)
class FieldSummary:
    """How well predictions are calibrated over the groups of a field, with and without figures of their own.

    `error` is the mean over rows of |predicted - observed| of the row's group, `floor` what chance alone would show.
    """

    objective: str
    field: str
    groups: int
    impressions: int
    clicks: int
    error: float
    floor: float


def all_figures(states: DataFrame, asked: Asked) -> list[Figures]:
    """Return the figures of each group of `states`, rows of the states table, but of the fields those `shown`.

    Raises:
        MetricError: as `group_figures`.
    """
    summed = [field for field in asked.settings.fields if not field.histograms]
    rest = states.where(~F.col("group_kind").isin([field.name for field in summed]))
    chosen = reduce(DataFrame.unionByName, [_most_shown(states, field, asked.model_version) for field in summed], rest)
    found = chosen.groupBy(*GROUP).applyInArrow(partial(_of_group, asked=asked), FIGURES).toArrow().to_pylist()
    for row in found:
        if row["refused"]:
            raise MetricError(row["refused"])
    return [json.loads(row["figures"]) for row in found]


def kinds_not_kept(states: DataFrame, model_version: str, against: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return by model the kinds of groups that `states` has of `model_version` and not, on each day, of that one.

    A field that was declared later is such a kind, and one of which histograms are kept now and sums were before.
    """
    if not against:
        return {}
    of_models = states.where(F.col("predictor") == MODEL)
    kept: dict[tuple[str, str], set[tuple[Any, ...]]] = {}
    for row in of_models.select("model_version", "group_kind", "date", "buckets").distinct().collect():
        kept.setdefault((row["model_version"], row["group_kind"]), set()).add((row["date"], row["buckets"]))
    kinds = sorted(kind for version, kind in kept if version == model_version and kind != ALL)
    return {
        other: tuple(kind for kind in kinds if kept.get((other, kind)) != kept[model_version, kind])
        for other in against
    }


def _of_group(table: pa.Table, asked: Asked) -> pa.Table:
    """Return one row: the figures as JSON, or why there are none; an error in a worker would come with a stack."""
    objective, kind, group = (str(table[name][0]) for name in GROUP)
    owners = table.select(["model_version", "date"]).to_pylist()
    kept = [
        Kept(owner["model_version"], key.predictor, owner["date"], state)
        for owner, (key, state) in zip(owners, states_of(table), strict=True)
    ]
    try:
        found, refused = json.dumps(group_figures(objective, kind, group, kept, asked), allow_nan=False), None
    except MetricError as error:
        found, refused = None, str(error)
    return pa.table({"figures": pa.array([found], pa.string()), "refused": pa.array([refused], pa.string())})


def _most_shown(states: DataFrame, field: FieldConfig, model_version: str) -> DataFrame:
    """Return the rows of the field's `shown` values with the most impressions of each objective."""
    own = states.where(F.col("group_kind") == field.name)
    of_model = own.where(F.col("model_version") == model_version)
    sizes = of_model.groupBy("objective", "group").agg(F.sum("rows").alias("size"))
    order = Window.partitionBy("objective").orderBy(F.col("size").desc(), F.col("group"))
    most = sizes.withColumn("rank", F.row_number().over(order)).where(F.col("rank") <= field.shown)
    return own.join(F.broadcast(most.select("objective", "group")), on=["objective", "group"], how="left_semi").select(
        states.columns
    )


def field_summaries(states: DataFrame, asked: Asked) -> Iterator[FieldSummary]:
    """Yield the summary of each field and objective, over all its groups."""
    names = [field.name for field in asked.settings.fields]
    of_model = (F.col("model_version") == asked.model_version) & (F.col("predictor") == MODEL)
    sums = _sums_of_groups(states.where(of_model & F.col("group_kind").isin(names)))
    totals = ("groups", "rows", "clicks", "gaps", "floor")
    added = sums.mapInArrow(_added, FIELD_SUMS).groupBy("objective", "group_kind")
    rows = added.agg(*[F.sum(name).alias(name) for name in totals]).orderBy("objective", "group_kind").collect()
    for row in (row for row in rows if row["rows"]):
        sizes = row["groups"], int(row["rows"]), int(row["clicks"])
        shares = row["gaps"] / row["rows"], row["floor"] / row["rows"]
        yield FieldSummary(row["objective"], row["group_kind"], *sizes, *shares)


def _sums_of_groups(states: DataFrame) -> DataFrame:
    def total(name: str) -> Any:
        zero = F.lit(0.0)
        return F.sum(F.aggregate("users", zero, lambda sum_, cell: sum_ + cell[name].cast("double"))).alias(name)

    return states.groupBy(*GROUP).agg(*[total(name) for name in ("count", "positives", "p_sum")])


def _added(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        count, clicks, predicted = (np.asarray(batch[name]) for name in ("count", "positives", "p_sum"))
        table = pa.table(
            {
                "objective": batch["objective"],
                "group_kind": batch["group_kind"],
                "groups": np.ones(len(count), np.int64),
                "rows": count,
                "clicks": clicks,
                "gaps": np.abs(predicted - clicks),
                "floor": chance_gap(count, predicted),
            }
        )
        names = table.column_names[2:]
        added = table.group_by(table.column_names[:2]).aggregate([(name, "sum") for name in names])
        yield from (
            added.rename_columns([name.removesuffix("_sum") for name in added.column_names])
            .select(table.column_names)
            .to_batches()
        )


def chance_gap(rows: Floats, expected: Floats) -> Floats:
    """Return the mean of |clicks - expected| of groups whose `expected` clicks are right.

    It is the mean absolute deviation of Poisson's law, narrowed as a binomial of the group's mean prediction is.
    """
    whole = np.floor(expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.exp(np.log(2.0) - expected + (whole + 1) * np.log(expected) - gammaln(whole + 1))
        share = np.clip(expected / rows, 0, 1)
    found: Floats = np.where((expected > 0) & (rows > 0), spread * np.sqrt(1 - share), 0.0)
    return found
