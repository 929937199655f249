"""Sequences as columns: arrays of texts from SQL, cut to their length, then arrays of indices."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructType, VariantType

from camoe.contracts.encoder import FIRST, UNKNOWN, Encoder
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from camoe.contracts.sequences import SequenceFeature
from features.spark.expressions import resolve

NESTED = (ArrayType, MapType, StructType, VariantType)


def sequence_values(visible: DataFrame, features: FeatureSet, where: str) -> dict[str, Column]:
    """Return each sequence as an array of texts without nulls, of at most its `max_length`; never null itself.

    Those that come from the log are left out.

    Raises:
        ConfigError: the SQL does not parse, names a column that is not there, or does not give what is declared: text
            where there is a separator, else an array of plain values.
    """
    joined = [item for item in features.sequence if item.key is None]
    columns = resolve(visible, {item.column: item.sql for item in joined}, where, ConfigError)
    kinds = visible.select(*columns.values()).schema
    for item in joined:
        _require_fit(item, kinds[item.column].dataType, where)
    return {item.column: _kept(item, columns[item.column]).alias(item.column) for item in joined}


def sequence_indices(encoder: Encoder, features: FeatureSet) -> dict[str, Column]:
    """Return arrays of indices, as `apply` gives indices, by column of the training table.

    They are made from the columns of `sequence_values`.
    """
    return {name: column for item in features.sequence for name, column in _indices(item, encoder, features).items()}


def _require_fit(item: SequenceFeature, kind: DataType, where: str) -> None:
    text = item.separator is not None
    fits = isinstance(kind, StringType) if text else isinstance(kind, ArrayType)
    plain = not isinstance(kind, ArrayType) or not isinstance(kind.elementType, NESTED)
    if fits and plain:
        return
    wanted = "text to cut at its separator" if text else "an array of plain values, or text with a separator"
    raise ConfigError(f"{where}: sequence '{item.name}: {item.sql}' is {kind.simpleString()}; it must be {wanted}")


def _kept(item: SequenceFeature, given: Column) -> Column:
    parts = given.cast("array<string>") if item.separator is None else _cut(given, item.separator)
    known = F.coalesce(F.array_compact(parts), F.array().cast("array<string>"))
    if item.keep == "first":
        return F.slice(known, 1, item.max_length)
    # A negative start gives nothing where the array is shorter than that.
    return F.slice(known, F.greatest(F.size(known) - item.max_length, F.lit(0)) + 1, F.lit(item.max_length))


def _cut(text: Column, separator: str) -> Column:
    return F.filter(F.split(text, re.escape(separator), -1), lambda part: part != "")


def _indices(item: SequenceFeature, encoder: Encoder, features: FeatureSet) -> Mapping[str, Column]:
    given, hashing = F.col(item.column), features.hashing_of(item)
    names = [column.name for column in features.columns_of(item)]
    if hashing is None:
        return {names[0]: _look_up(encoder.values[item.vocabulary or item.name])(given)}
    return {
        name: F.transform(given, _bucket(seed, hashing.buckets)).cast("array<int>")
        for name, seed in zip(names, hashing.seeds, strict=True)
    }


def _bucket(seed: int, buckets: int) -> Callable[[Column], Column]:
    return lambda value: F.pmod(F.xxhash64(F.lit(seed).cast("bigint"), value), F.lit(buckets)) + FIRST


def _look_up(values: tuple[str, ...]) -> Callable[[Column], Column]:
    """Return a function from arrays of texts to arrays of indices.

    It is a UDF, because Spark searches a map or an array from its beginning.
    """

    def look_up(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        known: pd.Index[str] = pd.Index(values, dtype=object)
        for batch in batches:
            ends = np.cumsum([len(one) for one in batch], dtype=np.int64)
            flat = np.concatenate(batch.to_numpy()) if len(batch) else np.empty(0, dtype=object)
            places = known.get_indexer(pd.Index(flat, dtype=object))
            indices = np.where(places < 0, UNKNOWN, places + FIRST).astype(np.int32)
            yield pd.Series(np.split(indices, ends[:-1]) if len(batch) else [], dtype=object)

    made: Callable[[Column], Column] = pandas_udf(look_up, "array<int>")  # type: ignore[call-overload]
    return made
