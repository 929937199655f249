"""Features as columns: SQL values, vocabularies fitted on training days, indices and raw floats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.encoder import FIRST, MISSING, UNKNOWN, Encoder
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import Categorical, FeatureSet
from features.failures import resolve

FEATURES = "the features"


def feature_values(joined: DataFrame, features: FeatureSet, keep: Sequence[str], hidden: Sequence[str]) -> DataFrame:
    """The columns `keep`, each categorical as a string, each numeric as a float (null unless finite).

    Raises:
        ConfigError: a feature's SQL does not parse or names a column that is not there; `hidden` ones are not.
    """
    visible = joined.drop(*hidden)
    categorical = resolve(visible, {item.column: item.sql for item in features.categorical}, FEATURES, ConfigError)
    numeric = resolve(visible, {item.column: item.sql for item in features.numeric}, FEATURES, ConfigError)
    return joined.select(
        *keep,
        *[column.cast("string").alias(name) for name, column in categorical.items()],
        *[_finite(column).alias(name) for name, column in numeric.items()],
    )


def fit(values: DataFrame, features: FeatureSet, days: Sequence[date]) -> dict[str, list[str]]:
    """Values of each categorical seen at least `min_count` times on `days`, the most frequent first, then by value.

    One pass for all features; `days` are the training days, so no later day shapes the vocabulary.
    """
    if not features.categorical:
        return {}
    pairs = F.array(*[_pair(feature) for feature in features.categorical])
    seen = values.where(F.col("date").isin(list(days))).select(F.explode(pairs).alias("pair"))
    counted = seen.where("pair.value is not null").groupBy("pair.feature", "pair.value", "pair.min_count").count()
    frequent = counted.where(F.col("count") >= F.col("min_count")).select("feature", "value", "count").collect()
    fitted: dict[str, list[str]] = {feature.name: [] for feature in features.categorical}
    for row in sorted(frequent, key=lambda row: (-row["count"], row["value"])):
        fitted[row["feature"]].append(row["value"])
    return fitted


def apply(values: DataFrame, encoder: Encoder, features: FeatureSet) -> DataFrame:
    """Replace each categorical's string by its int index: null is MISSING, a value outside the vocabulary UNKNOWN."""
    for feature in features.categorical:
        values = _indexed(values, feature, encoder.values)
    return values


def _indexed(values: DataFrame, feature: Categorical, vocabularies: Mapping[str, Sequence[str]]) -> DataFrame:
    entries = [(value, FIRST + position) for position, value in enumerate(vocabularies[feature.name])]
    vocabulary = values.sparkSession.createDataFrame(entries, f"`{feature.column}` string, _index int")
    index = F.when(F.col(feature.column).isNull(), F.lit(MISSING)).otherwise(F.coalesce("_index", F.lit(UNKNOWN)))
    joined = values.join(vocabulary, on=feature.column, how="left")
    return joined.withColumn(feature.column, index.cast("int")).drop("_index")


def _pair(feature: Categorical) -> Column:
    return F.struct(
        F.lit(feature.name).alias("feature"),
        F.col(feature.column).alias("value"),
        F.lit(feature.min_count).alias("min_count"),
    )


def _finite(value: Column) -> Column:
    number = value.try_cast("float")
    # Spark orders NaN above infinity, so this leaves out both.
    return F.when(F.abs(number) < F.lit(float("inf")), number)
