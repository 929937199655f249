"""Categories that a model does not know: they were rare or not there on the training days, or are newer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from camoe.contracts.encoder import UNKNOWN
from camoe.model.spec import ModelSpec

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Unknown:
    """By column that has a vocabulary: of the rows `seen`, or of a sequence's elements, how many are unknown.

    A column of which none is unknown counts 0.
    """

    found: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, other: Unknown) -> None:
        """Add what `other` has counted in other rows."""
        self.found.update(other.found)
        self.seen.update(other.seen)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the shares by column, for counts.json."""
        return {name: {"unknown": self.found[name], "of": self.seen[name]} for name in sorted(self.found)}

    def __str__(self) -> str:
        """Return the unknown shares, the largest first; columns without any are left out."""
        shares = {name: count / self.seen[name] for name, count in self.found.items() if count}
        largest = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{name} {share:.2%}" for name, share in largest) or "none"


@dataclass(frozen=True)
class Vocabulary:
    """Indices of a column that a model knows: those below `size` but for the `hidden` ones."""

    size: int
    hidden: tuple[int, ...]


def category_vocabularies(spec: ModelSpec) -> dict[str, Vocabulary]:
    """Return what the model knows of each categorical column that has a vocabulary."""
    of_table = _by_table(spec)
    return {item.column: of_table[item.column] for item in spec.features.categoricals if item.hashing is None}


def element_vocabularies(spec: ModelSpec) -> dict[str, Vocabulary]:
    """Return the same by column of sequences."""
    of_table, features = _by_table(spec), spec.features
    plain = [item for item in features.sequences if features.hashing_of(item) is None]
    return {column.name: of_table[column.table] for item in plain for column in features.columns_of(item)}


def _by_table(spec: ModelSpec) -> dict[str, Vocabulary]:
    sizes = zip(spec.features.embedded_columns, spec.vocabulary_sizes, strict=True)
    return {column: Vocabulary(size, spec.hidden.get(column, ())) for column, size in sizes}


def unknown_in(categorical: Indices, sequences: Indices, spec: ModelSpec) -> Unknown:
    """Count what the model does not know of indices `[rows, C]` and sequences `[rows, S]`, packed as in `Block`."""
    places = {name: place for place, name in enumerate(spec.features.categorical_columns)}
    counted = Unknown()
    for name, known in category_vocabularies(spec).items():
        indices = categorical[:, places[name]]
        counted.found[name], counted.seen[name] = _unknown(indices, known), len(indices)
    vocabularies, begin = element_vocabularies(spec), 0
    for column in spec.features.sequence_columns:
        lengths, padded = sequences[:, begin], sequences[:, begin + 1 : begin + 1 + column.length]
        begin += 1 + column.length
        if column.name in vocabularies:
            elements = padded[np.arange(column.length) < lengths[:, np.newaxis]]
            counted.found[column.name] = _unknown(elements, vocabularies[column.name])
            counted.seen[column.name] = len(elements)
    return counted


def _unknown(indices: Indices, known: Vocabulary) -> int:
    outside = (indices == UNKNOWN) | (indices >= known.size)
    return int(np.count_nonzero(outside | np.isin(indices, known.hidden) if known.hidden else outside))
