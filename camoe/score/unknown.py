"""Rows of a category that a model does not know: it was rare or not there on the training days, or is newer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from camoe.contracts.encoder import UNKNOWN
from camoe.model.spec import ModelSpec


def known_sizes(spec: ModelSpec) -> dict[str, int]:
    """By categorical column that has a vocabulary, the first index that the model has no embedding for."""
    sizes = dict(zip(spec.features.embedded_columns, spec.vocabulary_sizes, strict=True))
    return {feature.column: sizes[feature.column] for feature in spec.features.categorical if feature.hashing is None}


def unknown_rows(categorical: npt.NDArray[np.int64], spec: ModelSpec) -> Counter[str]:
    """By column with a vocabulary, the rows of `categorical`, indices `[rows, C]`, that the model does not know."""
    places = {name: place for place, name in enumerate(spec.features.categorical_columns)}
    found: Counter[str] = Counter()
    for name, size in known_sizes(spec).items():
        indices = categorical[:, places[name]]
        found[name] = int(np.count_nonzero((indices == UNKNOWN) | (indices >= size)))
    return found


def unknown_line(unknown: Mapping[str, int], rows: int) -> str:
    """The share of `rows` that is unknown in each column, the largest first; columns without any are left out."""
    largest = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count / rows:.2%}" for name, count in largest if count) or "none"
