"""Raw feature values to the encoded columns of the training table, as the features' build does it, without Spark."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from camoe.contracts.encoder import FIRST, MISSING, UNKNOWN, Encoder
from camoe.contracts.features import Categorical, FeatureSet
from camoe.contracts.sequences import Hashing, SequenceFeature
from camoe.score.graph_inputs import ScoringError, as_text, require_columns
from camoe.score.lists import elements_of
from camoe.score.xxhash64 import spark_hash


def encode(table: pa.Table, features: FeatureSet, encoder: Encoder) -> pa.Table:
    """Add to `table` the encoded columns of all `features` that are read, in place of columns of such a name.

    The raw value of each feature, what its `sql` gives, stands in a column of the feature's name: text, whole numbers,
    booleans or dates for a categorical, numbers for a numeric, lists of what a categorical takes for a sequence, or
    text where it has a separator; null is missing. The ages of a sequence that has some stand in `<name>_age`, lists of
    seconds.

    Raises:
        ScoringError: a column is missing or of another type.
    """
    require_columns(table, tuple(feature.name for feature in features.categoricals))
    require_columns(table, tuple(feature.name for feature in features.numerics))
    require_columns(table, tuple(feature.name for feature in features.sequences))
    require_columns(table, tuple(f"{feature.name}_age" for feature in features.sequences if feature.age))
    made: dict[str, pa.ChunkedArray] = {}
    for feature in features.categoricals:
        made |= _categorical(table, feature, encoder)
    for numeric in features.numerics:
        made[numeric.column] = _number(table, numeric.name)
    for sequence in features.sequences:
        made |= _sequence(table, sequence, features, encoder)
    kept = table.drop_columns([name for name in made if name in table.column_names])
    for name, column in made.items():
        kept = kept.append_column(name, column)
    return kept


def _categorical(table: pa.Table, feature: Categorical, encoder: Encoder) -> dict[str, pa.ChunkedArray]:
    values = _as_value(table, feature.name)
    return dict(zip(feature.columns, _indices(values, encoder, feature.name, feature.hashing), strict=True))


def _sequence(
    table: pa.Table, feature: SequenceFeature, features: FeatureSet, encoder: Encoder
) -> dict[str, pa.ChunkedArray]:
    """Return the lists that the features' build makes of the sequence: indices, without nulls, cut to length."""
    kept = elements_of(table, feature)
    values = _as_value(pa.table({feature.name: kept.values}), feature.name)
    columns = _indices(values, encoder, feature.vocabulary or feature.name, features.hashing_of(feature))
    names = [column.name for column in features.columns_of(feature)]
    ages = {feature.age_column: kept.ages(table, f"{feature.name}_age")} if feature.age_column is not None else {}
    return {**{name: kept.lists(indices) for name, indices in zip(names, columns, strict=True)}, **ages}


def _indices(
    values: pa.ChunkedArray, encoder: Encoder, vocabulary: str, hashing: Hashing | None
) -> list[pa.ChunkedArray]:
    """Return the index of each text, null MISSING; with hashing once a seed."""
    if hashing is not None:
        return [_or_missing(values, _bucket(values, seed, hashing)) for seed in hashing.seeds]
    known = pa.array(encoder.values.get(vocabulary, ()), pa.string())
    index = pc.add(pc.fill_null(pc.index_in(values, value_set=known), UNKNOWN - FIRST), pa.scalar(FIRST, pa.int32()))
    hidden = pc.is_in(index, value_set=pa.array(encoder.hidden.get(vocabulary, ()), pa.int32()))
    return [_or_missing(values, pc.if_else(hidden, pa.scalar(UNKNOWN, pa.int32()), index))]


def _bucket(values: pa.ChunkedArray, seed: int, hashing: Hashing) -> pa.ChunkedArray:
    """Return `FIRST + pmod(xxhash64(seed, value), buckets)` of each value; each distinct one is hashed once."""
    distinct = values.combine_chunks().dictionary_encode()
    indices = [FIRST + spark_hash(seed, value) % hashing.buckets for value in distinct.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(indices, pa.int32()).take(distinct.indices)])


def _or_missing(values: pa.ChunkedArray, index: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.is_null(values), pa.scalar(MISSING, pa.int32()), index)


def _as_value(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return the column as the text that Spark makes of it, which is the same as Arrow's for these types."""
    kind = table[name].type
    is_value = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_date32, pa.types.is_null)
    if any(test(kind) for test in is_value):
        return table[name].cast(pa.string())
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_temporal(kind):
        raise ScoringError(f"column {name} is {kind}, of which texts differ; give the text that its sql makes of it")
    return as_text(table, name)


def _number(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return the column as float32, null unless finite."""
    kind = table[name].type
    is_number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    if not any(test(kind) for test in is_number):
        raise ScoringError(f"column {name} is {kind}, where a number is needed")
    known = table[name].cast(pa.int8()) if pa.types.is_boolean(kind) else table[name]
    with np.errstate(over="ignore"):
        values = known.cast(pa.float64(), safe=False).to_numpy().astype(np.float32)
    return pa.chunked_array([pa.array(values, mask=~np.isfinite(values))])
