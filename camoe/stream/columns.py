"""Which columns of the training table a stream reads, and how they are packed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from camoe.contracts.features import FeatureSet
from camoe.contracts.layout import label_column

UNKNOWN_LABEL = -1

ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True)
class Columns:
    """Columns by kind. `keys` are passed through as they are, for proofs and for evaluation."""

    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    labels: tuple[str, ...]
    keys: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns to read."""
        return (*self.categorical, *self.numeric, *self.labels, "slot_id", *self.keys)


def model_columns(features: FeatureSet, objectives: tuple[str, ...], keys: tuple[str, ...] = ()) -> Columns:
    """The columns that a model over `features` learns `objectives` from."""
    labels = tuple(label_column(objective) for objective in objectives)
    return Columns(features.categorical_columns, features.numeric_columns, labels, keys)


@dataclass(frozen=True)
class Block:
    """Rows as matrices.

    `categorical` int32 `[rows, C]`; `numeric` float32 `[rows, F]`, NaN where null; `labels` int8 `[rows, O]`,
    `UNKNOWN_LABEL` where null; `slot` int32 `[rows]`; `keys` one array `[rows]` a key column.
    """

    categorical: npt.NDArray[np.int32]
    numeric: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int8]
    slot: npt.NDArray[np.int32]
    keys: tuple[npt.NDArray[np.generic], ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.slot)

    def between(self, start: int, stop: int) -> Block:
        """Rows `[start, stop)`, as views."""
        part = slice(start, stop)
        keys = tuple(key[part] for key in self.keys)
        return Block(self.categorical[part], self.numeric[part], self.labels[part], self.slot[part], keys)


def pack(table: pa.Table, columns: Columns, order: npt.NDArray[np.int64]) -> Block:
    """The rows `order` of `table` as a block."""
    return Block(
        categorical=_matrix(table, columns.categorical, order, np.int32),
        numeric=_matrix(table, columns.numeric, order, np.float32),
        labels=_matrix(table, columns.labels, order, np.int8),
        slot=table["slot_id"].to_numpy()[order].astype(np.int32, copy=False),
        keys=tuple(table[name].to_numpy()[order] for name in columns.keys),
    )


def concatenate(blocks: list[Block]) -> Block:
    """Blocks one after the other; at least one."""
    return Block(
        categorical=np.concatenate([block.categorical for block in blocks]),
        numeric=np.concatenate([block.numeric for block in blocks]),
        labels=np.concatenate([block.labels for block in blocks]),
        slot=np.concatenate([block.slot for block in blocks]),
        keys=tuple(np.concatenate(parts) for parts in zip(*(block.keys for block in blocks), strict=True)),
    )


def empty_block(columns: Columns) -> Block:
    """A block without rows: what a worker gets when a batch has fewer rows than there are workers."""
    return Block(
        categorical=np.empty((0, len(columns.categorical)), dtype=np.int32),
        numeric=np.empty((0, len(columns.numeric)), dtype=np.float32),
        labels=np.empty((0, len(columns.labels)), dtype=np.int8),
        slot=np.empty(0, dtype=np.int32),
        keys=tuple(np.empty(0, dtype=object) for _ in columns.keys),
    )


def _matrix(
    table: pa.Table, names: tuple[str, ...], order: npt.NDArray[np.int64], dtype: type[ScalarT]
) -> npt.NDArray[ScalarT]:
    matrix = np.empty((len(order), len(names)), dtype=dtype)
    for index, name in enumerate(names):
        column = table[name]
        if column.null_count and not pa.types.is_floating(column.type):
            column = column.fill_null(UNKNOWN_LABEL)
        matrix[:, index] = column.to_numpy()[order]
    return matrix
