"""Features as columns: SQL values, vocabularies fitted on training days, indices and raw floats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import reduce
from operator import or_

from pyspark.ml.feature import StringIndexerModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.encoder import FIRST, MISSING, UNKNOWN, Encoder
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import Categorical, FeatureSet
from features.encoding.sequences import sequence_indices, sequence_values
from features.spark.expressions import resolve

FEATURES = "the features"


def feature_values(joined: DataFrame, features: FeatureSet, keep: Sequence[str], hidden: Sequence[str]) -> DataFrame:
    """Select the columns `keep`, each categorical as a string, each numeric and target as a float, each sequence.

    A number is null unless finite; those that name other features are added by `with_derived`.

    Raises:
        ConfigError: a feature's SQL does not parse or names a column that is not there or is `hidden`, or a sequence
            is of a type that it cannot be.
    """
    visible = joined.drop(*hidden)
    categorical = resolve(visible, {item.column: item.sql for item in features.categorical}, FEATURES, ConfigError)
    plain = {item.column: item.sql for item in features.numeric if not item.reads}
    plain |= {item.column: item.sql for item in features.targets}
    numeric = resolve(visible, plain, FEATURES, ConfigError)
    return joined.select(
        *keep,
        *[column.cast("string").alias(name) for name, column in categorical.items()],
        *[_finite(column).alias(name) for name, column in numeric.items()],
        *sequence_values(visible, features, FEATURES).values(),
    )


def with_derived(values: DataFrame, features: FeatureSet) -> DataFrame:
    """Add the numerics whose SQL names other features, which are columns of `values`; each is null unless finite.

    Raises:
        ConfigError: their SQL does not parse, or names anything but features.
    """
    columns = {item.name: item.column for item in features.categorical}
    columns |= {item.name: item.column for item in features.numerics}
    for item in features.derived:
        named = F.struct(*[F.col(columns[name]).alias(name) for name in item.reads])
        visible = values.withColumn("features", named)
        column = resolve(visible.select("features"), {item.column: item.sql}, FEATURES, ConfigError)[item.column]
        values = visible.withColumn(item.column, _finite(column)).drop("features")
    return values


def fit_vocabularies(profile_rows: DataFrame, features: FeatureSet, days: Sequence[date]) -> dict[str, list[str]]:
    """Return by feature the values seen at least `min_count` times on `days`, the most frequent first, then by value.

    `profile_rows` are those of features.encoding.profile, of any runs: rows of one day are added up. `days` are the
    training days, so no later day shapes a vocabulary. Hashed features, and those that share another's, have none.
    """
    fitted = {name: list[str]() for name in features.min_counts}
    if not fitted:
        return {}
    of_interest = F.col("date").isin(list(days)) & F.col("feature").isin(list(fitted)) & F.col("value").isNotNull()
    counted = profile_rows.where(of_interest).groupBy("feature", "value").agg(F.sum("rows").alias("rows"))
    for row in sorted(counted.where(_frequent(features)).collect(), key=lambda row: (-row["rows"], row["value"])):
        fitted[row["feature"]].append(row["value"])
    return fitted


def apply(values: DataFrame, encoder: Encoder, features: FeatureSet) -> DataFrame:
    """Replace each categorical's string by its int indices: null is MISSING, a value outside the vocabulary UNKNOWN.

    One pass with a hash look-up a column; a join a feature took six times as long to plan and run. A hashed feature
    becomes a column a seed, `FIRST + pmod(xxhash64(seed, value), buckets)`: XXH64 of the value's UTF-8 bytes seeded
    by XXH64 of the seed as eight bytes, seeded by 42; the same in every version of Spark. A sequence's elements get
    the same indices, but for MISSING: it has no nulls.
    """
    vocabularies = [item for item in features.categorical if item.hashing is None]
    fitted = [feature for feature in vocabularies if encoder.values[feature.name]]
    rows = values
    if fitted:
        labels = [list(encoder.values[feature.name]) for feature in fitted]
        columns = [feature.column for feature in fitted]
        positions = [_position(feature) for feature in fitted]
        indexer = StringIndexerModel.from_arrays_of_labels(labels, columns, positions, handleInvalid="keep")
        rows = indexer.transform(values)
    hashed = [item for item in features.categorical if item.hashing is not None]
    indices = {item.column: _index(item, len(encoder.values[item.name])) for item in vocabularies}
    buckets = {name: bucket for item in hashed for name, bucket in _buckets(item).items()}
    sequences = sequence_indices(encoder, features)
    replaced = {item.column for item in hashed} | ({item.column for item in features.sequence} - sequences.keys())
    helpers = [*(_position(feature) for feature in fitted), *replaced]
    return rows.withColumns({**indices, **buckets, **sequences}).drop(*helpers)


def _frequent(features: FeatureSet) -> Column:
    names: dict[int, list[str]] = {}
    for feature, least in features.min_counts.items():
        names.setdefault(least, []).append(feature)
    return reduce(or_, [F.col("feature").isin(of) & (F.col("rows") >= least) for least, of in names.items()])


def _buckets(feature: Categorical) -> dict[str, Column]:
    if feature.hashing is None:
        return {}
    value, buckets = F.col(feature.column), F.lit(feature.hashing.buckets)
    hashes = [F.xxhash64(F.lit(seed).cast("bigint"), value) for seed in feature.hashing.seeds]
    return {
        name: F.when(value.isNull(), F.lit(MISSING)).otherwise(F.pmod(digest, buckets) + FIRST).cast("int")
        for name, digest in zip(feature.columns, hashes, strict=True)
    }


def _position(feature: Categorical) -> str:
    return f"_position_{feature.name}"


def _index(feature: Categorical, known: int) -> Column:
    """Return the index from the position in the vocabulary, which is `known` for a null or a value not in it."""
    missing = F.col(feature.column).isNull()
    unknown = F.lit(UNKNOWN)
    if known:
        position = F.col(_position(feature))
        unknown = F.when(position < known, position + FIRST).otherwise(unknown)
    return F.when(missing, F.lit(MISSING)).otherwise(unknown).cast("int")


def _finite(value: Column) -> Column:
    number = value.try_cast("float")
    # Spark orders NaN above infinity, so this leaves out both.
    return F.when(F.abs(number) < F.lit(float("inf")), number)
