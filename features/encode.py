"""Features as columns: SQL values, vocabularies fitted on training days, indices and raw floats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pyspark.ml.feature import StringIndexerModel
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
    """Replace each categorical's string by its int index: null is MISSING, a value outside the vocabulary UNKNOWN.

    One pass with a hash look-up a column; a join a feature took six times as long to plan and run.
    """
    fitted = [feature for feature in features.categorical if encoder.values[feature.name]]
    rows = values
    if fitted:
        vocabularies = [list(encoder.values[feature.name]) for feature in fitted]
        columns = [feature.column for feature in fitted]
        positions = [_position(feature) for feature in fitted]
        indexer = StringIndexerModel.from_arrays_of_labels(vocabularies, columns, positions, handleInvalid="keep")
        rows = indexer.transform(values)
    indices = {item.column: _index(item, len(encoder.values[item.name])) for item in features.categorical}
    return rows.withColumns(indices).drop(*[_position(feature) for feature in fitted])


def _position(feature: Categorical) -> str:
    return f"_position_{feature.name}"


def _index(feature: Categorical, known: int) -> Column:
    """The index from the position in the vocabulary, which is `known` for a null or a value not in it."""
    missing = F.col(feature.column).isNull()
    unknown = F.lit(UNKNOWN)
    if known:
        position = F.col(_position(feature))
        unknown = F.when(position < known, position + FIRST).otherwise(unknown)
    return F.when(missing, F.lit(MISSING)).otherwise(unknown).cast("int")


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
