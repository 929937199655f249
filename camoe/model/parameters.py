"""The number of a model's parameters, and widths that give it as many as another."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from camoe.config.model import ModelConfig
from camoe.contracts.errors import ConfigError
from camoe.model.camoe import Camoe
from camoe.model.layers.sequence import SequencePooling
from camoe.model.networks.body import make_body
from camoe.model.spec import ModelSpec

# The most by which a model may miss the wanted number of parameters, as a share of it: widths are whole numbers.
TOLERANCE = 0.02
HALVINGS = 24
# The largest factor of widths.
WIDEST = 2.0**20


@dataclass(frozen=True)
class ParameterCount:
    """Weights of the embedding table, and all others."""

    embedding: int
    rest: int

    def __str__(self) -> str:
        return f"{self.embedding:,} embedding parameters and {self.rest:,} others"


def count_parameters(model: Camoe) -> ParameterCount:
    """Count the parameters of `model`."""
    embedding = _count(model.embedding)
    return ParameterCount(embedding, _count(model) - embedding)


def with_matched_parameters(spec: ModelSpec) -> ModelSpec:
    """Return `spec` with the widths that its `match_parameters` asks for, which is then None; as it is without one.

    All hidden widths and ranks are scaled by one factor, found by bisection: the number of parameters never falls when
    the factor grows. What has no width of its own, such as full-rank crosses, stays.

    Raises:
        ConfigError: no factor brings the parameters beside the embeddings within `TOLERANCE` of the wanted number.
    """
    wanted = spec.model.match_parameters
    if wanted is None:
        return spec

    def rest(factor: float) -> int:
        return body_parameters(spec.model.scaled(factor), spec)

    low, high = 0.0, 1.0
    while rest(high) < wanted and high < WIDEST and rest(2 * high) > rest(high):
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rest(middle) < wanted else (low, middle)
    nearest = min((low, high), key=lambda factor: abs(rest(factor) - wanted))
    found = rest(nearest)
    if abs(found - wanted) > TOLERANCE * wanted:
        raise ConfigError(
            f"model.match_parameters: no widths give {wanted:,} parameters beside the embeddings, the nearest are "
            f"{found:,}; change the number of layers or experts, or give the crosses a rank"
        )
    model = spec.model.scaled(nearest).model_copy(update={"match_parameters": None})
    return spec.model_copy(update={"model": model})


def body_parameters(config: ModelConfig, spec: ModelSpec) -> int:
    """Count the parameters beside the embeddings of a model of `config` for the inputs and heads of `spec`."""
    # Tensors of this device have shapes and no values.
    with torch.device("meta"):
        pooling = SequencePooling(spec.features, config.embedding_dim, config.attention_hidden)
        return _count(make_body(config, spec.bottom_width, len(spec.heads.heads))) + _count(pooling)


def _count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
