"""Columns of the training table that a stream reads, and the rows it delivers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camoe.contracts.features import FeatureSet
from camoe.contracts.schema import label_column, target_column
from camoe.contracts.sequences import SequenceColumn, age_columns

UNKNOWN_LABEL = -1
SLOT_ID = "slot_id"
# A record is made of 4-byte words.
WORD = 4

Words = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Columns:
    """Columns by kind. `keys` are passed through as they are, for proofs and for evaluation.

    `targets` are numbers to learn from beside the labels.
    """

    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    labels: tuple[str, ...]
    keys: tuple[str, ...] = ()
    sequences: tuple[SequenceColumn, ...] = ()
    targets: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All columns to read."""
        sequences = (column.name for column in self.sequences)
        floats = (*self.numeric, *self.ages, *self.targets)
        return (*self.categorical, *floats, SLOT_ID, *self.labels, *sequences, *self.keys)

    @property
    def ages(self) -> dict[str, int]:
        """The columns of the sequences' ages, and the ages of a row in each."""
        return age_columns(self.sequences)

    @property
    def words(self) -> int:
        """Words of one record: categoricals, numerics, ages, targets, slot, labels padded to whole words, sequences."""
        return self.words_before_sequences + sum(1 + column.length for column in self.sequences)

    @property
    def words_before_sequences(self) -> int:
        """Words of one record up to its sequences."""
        return self.words_before_slot + 1 + -(-len(self.labels) // WORD)

    @property
    def words_before_slot(self) -> int:
        """Words of one record up to its slot."""
        return len(self.categorical) + self.numeric_words + len(self.targets)

    @property
    def numeric_words(self) -> int:
        """Words of one record that `Block.numeric` has."""
        return len(self.numeric) + sum(self.ages.values())


def model_columns(
    features: FeatureSet, objectives: tuple[str, ...], keys: tuple[str, ...] = (), targets: tuple[str, ...] = ()
) -> Columns:
    """Return the columns that a model over `features` learns `objectives` from, and `targets`, given by name."""
    labels, soft = tuple(map(label_column, objectives)), tuple(map(target_column, targets))
    read = features.categorical_columns, features.numeric_columns
    return Columns(*read, labels, keys, features.sequence_columns, soft)


@dataclass(frozen=True)
class Block:
    """A batch: rows as records of words, `[rows, words]`. The rest are views of `records`."""

    columns: Columns
    records: Words
    keys: tuple[npt.NDArray[np.generic], ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.records)

    @property
    def categorical(self) -> Words:
        """`[rows, C]`, indices."""
        return self.records[:, : len(self.columns.categorical)]

    @property
    def numeric(self) -> npt.NDArray[np.float32]:
        """`[rows, F]`, NaN where null; behind them the ages of sequences, each padded to its longest."""
        first = len(self.columns.categorical)
        return self.records.view(np.float32)[:, first : first + self.columns.numeric_words]

    @property
    def targets(self) -> npt.NDArray[np.float32]:
        """`[rows, T]`, NaN where null."""
        end = self.columns.words_before_slot
        return self.records.view(np.float32)[:, end - len(self.columns.targets) : end]

    @property
    def slot(self) -> Words:
        """`[rows]`."""
        return self.records[:, self.columns.words_before_slot]

    @property
    def labels(self) -> npt.NDArray[np.int8]:
        """`[rows, O]`, `UNKNOWN_LABEL` where null."""
        first = WORD * (self.columns.words_before_slot + 1)
        return self.records.view(np.int8)[:, first : first + len(self.columns.labels)]

    @property
    def sequences(self) -> Words:
        """`[rows, S]`: of each sequence column its length, then its indices, padded at the end to the longest."""
        return self.records[:, self.columns.words_before_sequences :]
