"""Columns of embeddings that say little: numbers of a feature's embedding that hardly vary, or that nothing reads."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from camoe.bundle.manifest import TABLE
from camoe.bundle.model import module_of
from camoe.contracts.errors import ConfigError
from camoe.model.camoe import Camoe
from camoe.model.spec import ModelSpec

UNITS = "sequences.units."


def without_columns(model: Camoe, spec: ModelSpec, spread: Tensor, dim: int) -> tuple[dict[str, Tensor], ModelSpec]:
    """Return the weights and the spec of `model` with `dim` numbers of each feature's embedding.

    They are those of the largest `spread` times the size of the weights that read them. To permute the numbers of an
    embedding changes no model, so which ones stay is free for each table of the joint one.

    Args:
        spread: `[D]`, as `Usage` has it.

    Raises:
        ConfigError: embeddings have fewer columns.
    """
    was = spec.model.embedding_dim
    if dim > was:
        raise ConfigError(f"compress.embedding_dim={dim}: the model's embeddings have {was} columns")
    cut = spec.model_copy(update={"model": spec.model.model_copy(update={"embedding_dim": dim})})
    before = model.state_dict()
    shapes = {name: value.shape for name, value in module_of(cut).state_dict().items()}
    width = spec.bottom_width
    kept = _kept(spread * _reach(before, shapes, width), model, was, dim)
    places = _tables(model)
    x = [place * was + column for place, table in enumerate(places) for column in kept[table]]
    x += range(len(places) * was, width)
    weights = dict[str, Tensor]()
    for name, value in before.items():
        if name == TABLE:
            weights[name] = _table(value, spec.vocabulary_sizes, kept)
        elif name.startswith(UNITS) and value.shape != shapes[name]:
            weights[name] = value[:, _of_unit(model, name, kept, was)]
        else:
            weights[name] = _taken(value, shapes[name], x, width)
    return weights, cut


def _tables(model: Camoe) -> list[int]:
    """Return, of each embedding in the shared bottom, which of the features' tables it is read from."""
    return [*range(model.categorical_columns), *model.sequences.tables]


def _reach(weights: dict[str, Tensor], shapes: dict[str, torch.Size], width: int) -> Tensor:
    """Return the size `[D]` of all weights that read each number of the shared bottom."""
    squares = torch.zeros(width, dtype=torch.float64)
    for name, value in weights.items():
        # The columns of a matrix that a narrower bottom has fewer of.
        if value.ndim == 2 and name != TABLE and not name.startswith(UNITS) and value.shape[1] != shapes[name][1]:
            squares += value[:, :width].double().square().sum(dim=0)
    return squares.sqrt()


def _kept(size: Tensor, model: Camoe, was: int, dim: int) -> dict[int, list[int]]:
    """Return by table the columns that stay, in order; sequences have those of the feature whose table they share."""
    tables = _tables(model)
    squares = {table: torch.zeros(was, dtype=torch.float64) for table in tables}
    for place, table in enumerate(tables):
        squares[table] += size[place * was : (place + 1) * was].square()
    return {table: sorted(of.topk(dim).indices.tolist()) for table, of in squares.items()}


def _table(value: Tensor, sizes: tuple[int, ...], kept: dict[int, list[int]]) -> Tensor:
    starts = accumulate(sizes, initial=0)
    rows = [value[start : start + size] for start, size in zip(starts, sizes, strict=False)]
    return torch.cat([own[:, kept[table]] for table, own in enumerate(rows)])


def _of_unit(model: Camoe, name: str, kept: dict[int, list[int]], was: int) -> list[int]:
    """Return the inputs `[q; k; q - k; q * k]` of an activation unit that stay."""
    column = name.removeprefix(UNITS).partition(".")[0]
    table = next(
        t for one, t in zip(model.sequences.columns, model.sequences.tables, strict=True) if one.name == column
    )
    return [part * was + place for part in range(4) for place in kept[table]]


def _taken(value: Tensor, shape: torch.Size, x: list[int], width: int) -> Tensor:
    """Return `value` with the numbers `x` of the bottom, of `width`, on each axis that a narrower one makes shorter.

    What stands behind the bottom on such an axis, a deep network's outputs beside the crosses, stays.
    """
    for axis, (was, now) in enumerate(zip(value.shape, shape, strict=True)):
        if was != now:
            value = value.index_select(axis, torch.tensor([*x, *range(width, was)]))
    assert value.shape == shape
    return value
