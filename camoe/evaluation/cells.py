"""From scored rows to a state a group and day, in Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.metrics.config import EvaluationConfig, FieldConfig
from camoe.metrics.spark_bins import clipped, narrow_bin, wide_bin
from camoe.metrics.table import ALL, MODEL

SUMS = ("count", "unknown", "positives", "p_sum", "log_loss")
CELL = ("count", "positives", "p_sum", "log_loss")
KEYS = ("objective", "date", "predictor", "group_kind", "group")
# The bucket of cells over all users.
EVERYONE = -1
NO_VALUE = "(none)"
# Of a field of which sums alone are kept: the value of rows of other predictors than the model.
LEFT_OUT = "\0"


@dataclass(frozen=True)
class Grouping:
    """Which groups of which columns get states."""

    settings: EvaluationConfig

    @property
    def binned(self) -> list[FieldConfig]:
        """Fields with histograms."""
        return [field for field in self.settings.fields if field.histograms]

    @property
    def summed(self) -> list[FieldConfig]:
        """Fields of which sums alone are kept."""
        return [field for field in self.settings.fields if not field.histograms]

    def sets(self) -> list[list[str]]:
        """Return the grouping sets: narrow bins of all users, wide ones by bucket, sums by fewer buckets."""
        common = ["objective", "date", "predictor"]
        units = [["modality", "slot", "head"], *([_column(field)] for field in self.binned)]
        cells = [[*common, *unit, *of] for unit in units for of in (["narrow"], ["bucket", "wide"])]
        return cells + [[*common, _column(field), "fold"] for field in self.summed]

    def names(self) -> Column:
        """Return the groups that a cell of the grouping sets may belong to: an array of kind and group, or nulls."""
        groups = [(kind, F.col(kind)) for kind in self.settings.groups] + [(ALL, F.lit(ALL))]
        found = [F.when(F.col("slot").isNotNull(), _group(kind, value)) for kind, value in groups]
        for field in self.settings.fields:
            value = F.col(_column(field))
            found.append(F.when(value.isNotNull() & (value != LEFT_OUT), _group(field.name, value)))
        return F.array(*found)


def state_rows(frame: DataFrame, predictors: Mapping[str, str], settings: EvaluationConfig) -> DataFrame:
    """Return a row a day, objective, predictor and group: `KEYS`, `buckets`, `rows`, `unknown`, `bins`, `users`.

    `frame` has the columns objective, user_id, date, modality, slot, head, label (0, 1, null = unknown), one a field,
    and one probability column a predictor: `predictors` maps a name to its column. `rows` are those with a label;
    `bins` is null where sums alone are kept.
    """
    grouping = Grouping(settings)
    cells = _binned(frame, predictors, grouping)
    names = sorted({name for own in grouping.sets() for name in own})
    own = [[F.col(name) for name in one] for one in grouping.sets()]
    small = cells.groupingSets(own, *[F.col(name) for name in names]).agg(*_sums())
    grouped = small.select(
        "objective",
        "date",
        "predictor",
        F.explode(grouping.names()).alias("of"),
        F.coalesce("bucket", "fold", F.lit(EVERYONE)).cast("int").alias("bucket"),
        F.coalesce("narrow", "wide", F.lit(0)).cast("int").alias("bin"),
        *SUMS,
    ).where(F.col("of").isNotNull())
    added = (
        grouped.select("*", "of.group_kind", "of.group")
        .groupBy(*KEYS, "bucket", "bin")
        .agg(*[F.sum(name).alias(name) for name in SUMS])
    )
    return _collected(added, [field.name for field in grouping.summed], settings)


def _binned(frame: DataFrame, predictors: Mapping[str, str], grouping: Grouping) -> DataFrame:
    """Return a row a row and predictor, with its bins, buckets and values of the fields."""
    settings, hashed = grouping.settings, F.xxhash64(F.col("user_id").cast("string"))
    scored = F.explode(
        F.array(
            *[
                F.struct(F.lit(name).alias("predictor"), F.col(column).cast("double").alias("p"))
                for name, column in predictors.items()
            ]
        )
    )
    values = {field: F.coalesce(F.col(field.name).cast("string"), F.lit(NO_VALUE)) for field in settings.fields}
    rows = frame.select(
        "objective",
        "date",
        "modality",
        "slot",
        "head",
        F.col("label").cast("double").alias("label"),
        F.pmod(hashed, F.lit(settings.user_buckets)).alias("bucket"),
        F.pmod(hashed, F.lit(settings.field_buckets)).alias("fold"),
        *[value.alias(_column(field)) for field, value in values.items()],
        scored.alias("scored"),
    ).select("*", "scored.predictor", "scored.p")
    binned = rows.withColumn("q", clipped(F.col("p"))).withColumn("narrow", narrow_bin(F.col("q")))
    of_model = F.col("predictor") == MODEL
    left_out = {
        _column(field): F.when(of_model, F.col(_column(field))).otherwise(LEFT_OUT) for field in grouping.summed
    }
    return binned.withColumns({"wide": wide_bin(F.col("narrow")), **left_out})


def _collected(cells: DataFrame, summed: Sequence[str], settings: EvaluationConfig) -> DataFrame:
    by_bucket, holds = F.col("bucket") != EVERYONE, F.col("count") > 0
    alone = F.col("group_kind").isin(list(summed)) if summed else F.lit(False)
    bins = F.collect_list(F.when(~by_bucket & holds, F.struct("bin", *CELL)))
    users = F.collect_list(F.when(by_bucket & holds, F.struct("bucket", "bin", *CELL)))
    found = cells.groupBy(*KEYS).agg(
        F.coalesce(F.sum(F.when(by_bucket, F.col("count"))), F.lit(0)).alias("rows"),
        F.coalesce(F.sum(F.when(by_bucket, F.col("unknown"))), F.lit(0)).alias("unknown"),
        bins.alias("bins"),
        users.alias("users"),
    )
    return found.withColumns(
        {
            "bins": F.when(~alone, F.col("bins")),
            "buckets": F.when(alone, settings.field_buckets).otherwise(settings.user_buckets),
        }
    )


def _sums() -> tuple[Column, ...]:
    p, q, label = F.col("p"), F.col("q"), F.col("label")
    known = label.isNotNull()
    loss = -(label * F.log(q) + (1 - label) * F.log1p(-q))
    return (
        F.count("label").alias("count"),
        F.count_if(~known).alias("unknown"),
        F.count_if(label == 1.0).alias("positives"),
        F.sum(F.when(known, p).otherwise(0.0)).alias("p_sum"),
        F.sum(F.when(known, loss).otherwise(0.0)).alias("log_loss"),
    )


def is_invalid(column: str) -> Column:
    """Return whether a row's probability in `column` is none, or its label is neither 0, 1 nor null."""
    # NaN is greater than every number in Spark, so the range check sees it too.
    p, label = F.col(column), F.col("label")
    return ~(p.isNotNull() & p.between(0.0, 1.0) & (label.isNull() | label.isin(0.0, 1.0)))


def _group(kind: str, value: Column) -> Column:
    return F.struct(F.lit(kind).alias("group_kind"), value.alias("group"))


def _column(field: FieldConfig) -> str:
    return f"field_{field.name}"
