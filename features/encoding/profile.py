"""Profiles: counts of each feature's values on each day, which are merged over days and runs by addition."""

from __future__ import annotations

from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.features import Categorical, FeatureSet, Numeric
from camoe.contracts.sequences import SequenceFeature

# Numeric bins a factor of two: a bin is 9 % wide.
BINS_A_DOUBLING = 8
# The bin of the smallest positive float32, 2**-149, is 1.
BIN_OFFSET = 1 + 149 * BINS_A_DOUBLING
# A hashed feature has too many values to keep, so its profile counts shares of them under this seed.
HASHED_CELLS = 64
HASHED_CELL_SEED = 0
# Above the error of Spark's logarithm and below the distance of any float32 to a bin's edge that is not a power of two.
EDGE = 1e-9


def profile(values: DataFrame, features: FeatureSet) -> DataFrame:
    """Count the rows of each (date, feature, value) in one pass: `date`, `feature`, `value` (null = missing), `rows`.

    `values` has `date`, each categorical as a string and each numeric as a finite float32 or null. A categorical's
    value is itself, a hashed one's the cell (0 to 63) of its hash, so no value of it is kept. A numeric's value is
    the number of its bin: 0 for zero, `floor(8 log2 |x|) + 1193` for a positive number, the negative of that for a
    negative one; the same on every machine, and in the order of x. A sequence counts each of its elements as a
    categorical counts its value, and an empty one as missing.
    """
    names = [*(item.name for item in features.categorical), *(item.name for item in features.numerics)]
    columns = [*(_category(item) for item in features.categorical), *(bin_of(item) for item in features.numerics)]
    # Positions in place of names keep the counted rows narrow; stack takes a sixth less time than exploding an array.
    pairs = [item for position, column in enumerate(columns) for item in (F.lit(position), column)]
    stacked = [values.select("date", F.stack(F.lit(len(columns)), *pairs).alias("position", "value"))] if pairs else []
    exploded = [
        values.select("date", F.explode_outer(item.column).alias("value")).select(
            "date", F.lit(len(columns) + number).alias("position"), _element(item, features).alias("value")
        )
        for number, item in enumerate(features.sequence)
    ]
    names += [item.name for item in features.sequence]
    counted = (
        reduce(DataFrame.unionByName, [*stacked, *exploded])
        .groupBy("date", "position", "value")
        .agg(F.count(F.lit(1)).alias("rows"))
    )
    name = F.element_at(F.array(*[F.lit(name) for name in names]), F.col("position") + 1)
    return counted.select("date", name.alias("feature"), "value", "rows")


def _category(feature: Categorical) -> Column:
    value = F.col(feature.column)
    return value if feature.hashing is None else _cell(value)


def _element(feature: SequenceFeature, features: FeatureSet) -> Column:
    value = F.col("value")
    return value if features.hashing_of(feature) is None else _cell(value)


def _cell(value: Column) -> Column:
    cell = F.pmod(F.xxhash64(F.lit(HASHED_CELL_SEED).cast("bigint"), value), F.lit(HASHED_CELLS))
    return F.when(value.isNotNull(), cell.cast("string"))


def bin_of(feature: Numeric) -> Column:
    """Return the number of the bin of a numeric's value, as `profile` says, as text; null for a missing one."""
    number = F.col(feature.column).cast("double")
    size = F.floor(F.log2(F.abs(number)) * BINS_A_DOUBLING + EDGE) + BIN_OFFSET
    return F.when(number == 0, F.lit("0")).otherwise((F.signum(number) * size).cast("bigint").cast("string"))
