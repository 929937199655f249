"""The inputs that a model reads of a table of impressions, checked first. Needs no torch, no Spark."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from camoe.contracts.built.definitions import read_definitions
from camoe.contracts.errors import CamoeError
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, FEATURES_PROPERTY
from camoe.contracts.sequences import SequenceColumn, age_columns
from camoe.model.spec import ModelSpec
from camoe.stream.reading.columns import Block
from camoe.stream.reading.padding import padded, padded_ages, require_an_age_each

# Unknown values that a message names at most.
NAMED = 5
# Ages `[rows, L]`, and how many each row has.
Aged = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]


class ScoringError(CamoeError):
    """Rows that a model cannot score: a column is missing or of a wrong type, or a slot is unknown to the model."""


@dataclass(frozen=True)
class GraphInputs:
    """Model inputs of `[rows]`: slot ids int64, categorical indices int64 `[rows, C]`, numerics float32 `[rows, F]`,
    and sequences int64 `[rows, S]`, packed as `Block.numeric` and `Block.sequences` have them.

    A numeric is NaN where it is missing.
    """

    slot: npt.NDArray[np.int64]
    categorical: npt.NDArray[np.int64]
    numeric: npt.NDArray[np.float32]
    sequences: npt.NDArray[np.int64]


def block_inputs(block: Block) -> GraphInputs:
    """Return the inputs of the rows of a streamed `block`, whose numerics they share."""
    slot, categorical, sequences = (of.astype(np.int64) for of in (block.slot, block.categorical, block.sequences))
    return GraphInputs(slot, categorical, block.numeric, sequences)


def graph_inputs(table: pa.Table, spec: ModelSpec) -> GraphInputs:
    """Return the inputs of rows with the encoded columns of the training table, and `slot`; see `InputReader.read`."""
    return InputReader(spec).read(table)


class InputReader:
    """Reads the inputs of a model from tables; what it looks for is worked out once."""

    def __init__(self, spec: ModelSpec) -> None:
        features = spec.features
        self._schema_hash, self._definitions = features.schema_hash(), read_definitions(features)
        self._categorical, self._numeric = features.categorical_columns, features.numeric_columns
        self._sequences = features.sequence_columns
        self._ages = age_columns(self._sequences)
        self._needed = ("slot", *features.columns)
        self._slots = pa.array([slot.id for slot in spec.slots.slots])

    def read(self, table: pa.Table) -> GraphInputs:
        """Return the inputs of rows with the encoded columns of the training table, and `slot`.

        Raises:
            ScoringError: a column is missing, of a wrong type or has values that no index can be, a slot is unknown, or
                the table says that it was made from other features.
        """
        require_schema(table, self._schema_hash, self._definitions)
        require_columns(table, self._needed)
        columns = dict(zip(table.column_names, table.columns, strict=True))
        categorical = np.empty((table.num_rows, len(self._categorical)), dtype=np.int64)
        for index, name in enumerate(self._categorical):
            categorical[:, index] = _indices(columns[name], name)
        _require_indices(categorical, self._categorical)
        numeric = np.empty((table.num_rows, len(self._numeric)), dtype=np.float32)
        with np.errstate(over="ignore"):
            for index, name in enumerate(self._numeric):
                numeric[:, index] = _numbers(columns[name], name)
        ids = slot_ids(table, self._slots)
        if not self._sequences:
            return GraphInputs(ids, categorical, numeric, np.empty((table.num_rows, 0), dtype=np.int64))
        aged = {name: _ages(table, name, longest) for name, longest in self._ages.items()}
        sequences = np.concatenate([_lists(table, column, aged) for column in self._sequences], axis=1)
        floats = np.concatenate([numeric, *(ages for ages, _ in aged.values())], axis=1)
        return GraphInputs(ids, categorical, floats, sequences.astype(np.int64))


def slot_ids(table: pa.Table, known: pa.Array) -> npt.NDArray[np.int64]:
    """Return each row's position of `slot` in `known` ones. Raises `ScoringError` for an unknown slot or a null."""
    slots = as_text(table, "slot")
    ids = pc.index_in(slots, value_set=known)
    if ids.null_count:
        strange = sorted(map(str, pc.unique(slots.filter(pc.is_null(ids))).to_pylist()))
        raise ScoringError(
            f"column slot has values that the model does not know: {', '.join(strange[:NAMED])}; "
            f"it knows {', '.join(known.to_pylist())}"
        )
    found: npt.NDArray[np.int64] = ids.to_numpy().astype(np.int64)
    return found


def require_schema(table: pa.Table, schema_hash: str, definitions: Mapping[str, str]) -> None:
    """Raise `ScoringError` when the table's metadata name other features than the model's; most tables name none."""
    told = table.schema.metadata or {}
    found, known = told.get(FEATURE_SCHEMA_PROPERTY.encode()), told.get(FEATURES_PROPERTY.encode())
    if found is not None and found.decode() != schema_hash:
        raise ScoringError(
            f"the table was encoded for feature schema {found.decode()}, the model has {schema_hash}; "
            "encode it with this model"
        )
    there = definitions if known is None or found is not None else json.loads(known)
    other = [name for name, made in definitions.items() if there.get(name) != made]
    if other:
        raise ScoringError(
            f"the table has other features than the model ({', '.join(other)}); encode it with this model"
        )


def require_columns(table: pa.Table, names: tuple[str, ...]) -> None:
    """Raise `ScoringError` when `table` lacks one of `names`, or has it twice."""
    there = Counter(table.column_names)
    absent = [name for name in names if name not in there]
    if absent:
        raise ScoringError(f"the table has no column {', '.join(absent)}; it has {', '.join(table.column_names)}")
    twice = sorted({name for name in names if there[name] > 1})
    if twice:
        raise ScoringError(f"the table has the column {', '.join(twice)} more than once")


def as_text(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return the column `name` as strings. Raises `ScoringError` when it has none."""
    kind = table[name].type
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(values) or pa.types.is_large_string(values)):
        raise ScoringError(f"column {name} is {kind}, where text is needed")
    return table[name].cast(pa.string())


def _indices(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.int64]:
    if not pa.types.is_integer(column.type):
        raise ScoringError(f"column {name} is {column.type}, where an index is needed; encode raw values first")
    if column.null_count:
        raise ScoringError(f"column {name} has {column.null_count} nulls; the index of a missing value is 0")
    values: npt.NDArray[np.int64] = column.to_numpy()
    return values


def _require_indices(found: npt.NDArray[np.int64], names: tuple[str, ...]) -> None:
    if found.size and found.min() < 0:
        place = int(found.min(axis=0).argmin())
        raise ScoringError(f"column {names[place]} has the index {found[:, place].min()}; indices begin at 0")


def _ages(table: pa.Table, name: str, longest: int) -> Aged:
    try:
        return padded_ages(table[name].combine_chunks(), longest)
    except ValueError as error:
        raise ScoringError(f"column {name} {error}; give log1p of seconds") from None


def _lists(table: pa.Table, column: SequenceColumn, aged: Mapping[str, Aged]) -> npt.NDArray[np.int32]:
    try:
        packed = padded(table[column.name].combine_chunks(), column.length)
        if packed.size and packed.min() < 0:
            raise ScoringError(f"column {column.name} has the index {packed.min()}; indices begin at 0")
        if column.ages is not None:
            require_an_age_each(aged[column.ages][1], packed[:, 0])
    except ValueError as error:
        raise ScoringError(f"column {column.name} {error}; encode raw values first") from None
    return packed


def _numbers(column: pa.ChunkedArray, name: str) -> npt.NDArray[np.float64]:
    kind = column.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise ScoringError(f"column {name} is {kind}, where a number is needed")
    values: npt.NDArray[np.float64] = (
        column.cast(pa.float64(), safe=False) if column.null_count else column
    ).to_numpy()
    return values
