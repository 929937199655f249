"""The figures of all groups, each made where Spark has the group's states: the driver holds figures, not cells."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.special import gammaln

from camoe.evaluation.figures import Asked, Figures, Kept, group_figures
from camoe.evaluation.kept import states_of
from camoe.metrics.config import FieldConfig
from camoe.metrics.histogram import Floats, MetricError
from camoe.metrics.table import MODEL

GROUP = ("objective", "group_kind", "group")
FIGURES = "figures string, refused string"
FIELD_SUMS = "objective string, groups bigint, rows double, clicks double, gaps double, floor double"


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
    chosen = [states.where(~F.col("group_kind").isin([field.name for field in summed]))]
    chosen += [_most_shown(states, field, asked.model_version) for field in summed]
    tables = [_figures(frame, asked) for frame in chosen]
    rows = [row for table in tables for row in table.toArrow().to_pylist()]
    for row in rows:
        if row["refused"]:
            raise MetricError(row["refused"])
    return [json.loads(row["figures"]) for row in rows]


def _figures(frame: DataFrame, asked: Asked) -> DataFrame:
    return frame.groupBy(*GROUP).applyInArrow(partial(_of_group, asked=asked), FIGURES)


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
    sizes = (
        own.where(F.col("model_version") == model_version).groupBy("objective", "group").agg(F.sum("rows").alias("n"))
    )
    names = [row["objective"] for row in sizes.select("objective").distinct().collect()]
    order = (F.col("n").desc(), F.col("group"))
    top = [
        (row["objective"], row["group"])
        for name in names
        for row in sizes.where(F.col("objective") == name).orderBy(*order).limit(field.shown).collect()
    ]
    wanted = own.sparkSession.createDataFrame(top, "objective string, `group` string")
    return own.join(F.broadcast(wanted), on=["objective", "group"], how="left_semi")


def field_summaries(states: DataFrame, asked: Asked) -> Iterator[FieldSummary]:
    """Yield the summary of each field and objective, over all its groups."""
    of_model = states.where((F.col("model_version") == asked.model_version) & (F.col("predictor") == MODEL))
    for field in asked.settings.fields:
        sums = _sums_of_groups(of_model.where(F.col("group_kind") == field.name))
        added = sums.mapInArrow(_added, FIELD_SUMS).groupBy("objective")
        names = ("groups", "rows", "clicks", "gaps", "floor")
        for row in added.agg(*[F.sum(name).alias(name) for name in names]).orderBy("objective").collect():
            rows = row["rows"]
            if rows:
                sizes = row["groups"], int(rows), int(row["clicks"])
                yield FieldSummary(row["objective"], field.name, *sizes, row["gaps"] / rows, row["floor"] / rows)


def _sums_of_groups(states: DataFrame) -> DataFrame:
    def total(name: str) -> Any:
        zero = F.lit(0.0)
        return F.sum(F.aggregate("users", zero, lambda sum_, cell: sum_ + cell[name].cast("double"))).alias(name)

    return states.groupBy("objective", "group").agg(*[total(name) for name in ("count", "positives", "p_sum")])


def _added(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        objectives = np.asarray(batch["objective"].to_pylist(), dtype=object)
        count, clicks, predicted = (np.asarray(batch[name]) for name in ("count", "positives", "p_sum"))
        of: Sequence[str] = sorted(set(objectives))
        values = {
            "groups": np.ones_like(count),
            "rows": count,
            "clicks": clicks,
            "gaps": np.abs(predicted - clicks),
            "floor": chance_gap(count, predicted),
        }
        sums = {name: [float(value[objectives == one].sum()) for one in of] for name, value in values.items()}
        sums["groups"] = [int(value) for value in sums["groups"]]
        yield pa.RecordBatch.from_pydict({"objective": of, **sums})


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
