"""Rows of the embedding table that training saw too rarely to learn: their values read as unknown."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import torch
from torch import Tensor

from camoe.bundle.manifest import TABLE
from camoe.contracts.encoder import FIRST, UNKNOWN
from camoe.model.spec import ModelSpec


def without_rows(
    weights: Mapping[str, Tensor], spec: ModelSpec, looked_up: Tensor, least: int
) -> tuple[dict[str, Tensor], ModelSpec]:
    """Return `weights` and `spec` without the embeddings of values that rows had fewer than `least` times.

    Those at the end of a vocabulary, which has the rarest last, are cut off, others hidden. The embedding of unknown
    values becomes the mean of those that are gone and its own, by how often each was read.

    Args:
        looked_up: `[V]`, as `Usage` has it.
    """
    table, sizes, hidden, parts = weights[TABLE], list[int](), dict[str, tuple[int, ...]](), list[Tensor]()
    starts = accumulate(spec.vocabulary_sizes, initial=0)
    for column, start, size in zip(spec.features.embedded_columns, starts, spec.vocabulary_sizes, strict=False):
        own, seen = table[start : start + size].clone(), looked_up[start : start + size]
        rare = [index for index in range(FIRST, size) if seen[index] < least]
        gone = [UNKNOWN, *rare]
        if seen[gone].sum() > 0:
            part = (seen[gone].double() / seen[gone].sum()).to(own.dtype)
            own[UNKNOWN] = part @ own[gone]
        kept = 1 + max(set(range(size)) - set(rare))
        sizes.append(kept)
        parts.append(own[:kept])
        below = tuple(sorted({*(index for index in rare if index < kept), *_below(spec.hidden.get(column, ()), kept)}))
        if below:
            hidden[column] = below
    cut = spec.model_copy(update={"vocabulary_sizes": tuple(sizes), "hidden": hidden})
    return {**weights, TABLE: torch.cat(parts)}, cut


def _below(indices: tuple[int, ...], end: int) -> tuple[int, ...]:
    return tuple(index for index in indices if index < end)
