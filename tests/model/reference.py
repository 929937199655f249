"""The published formulas of every architecture in plain numpy, one row at a time, over a model's weights by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from camoe.config.model import (
    CamoeConfig,
    CommonConfig,
    DcnConfig,
    MlpConfig,
    MmoeConfig,
    ModelConfig,
    PleConfig,
    SharedBottomConfig,
)

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]
Expert = DcnConfig | MlpConfig
# Logits `[heads]`, and gate weights `[heads, K]`.
Output = tuple[list[Array], Sequence[Array] | Array]


def linear(weights: Weights, name: str, x: Array) -> Array:
    product: Array = weights[f"{name}.weight"] @ x
    return product + weights[f"{name}.bias"] if f"{name}.bias" in weights else product


def mlp(weights: Weights, name: str, x: Array, layers: int) -> Array:
    # Each layer is a linear, a ReLU and a dropout.
    for layer in range(layers):
        x = np.maximum(linear(weights, f"{name}.{3 * layer}", x), 0)
    return x


def cross(weights: Weights, name: str, x0: Array, layers: int, rank: int | None) -> Array:
    x = x0
    for layer in range(layers):
        one = f"{name}.layers.{layer}"
        if rank is None:
            matrix, bias = weights[f"{one}.weight"], weights[f"{one}.bias"]
        else:
            u, v = weights[f"{one}.1.weight"], weights[f"{one}.0.weight"].T
            matrix, bias = u @ v.T, weights[f"{one}.1.bias"]
        x = x0 * (matrix @ x + bias) + x
    return x


def dcn(config: DcnConfig, weights: Weights, name: str, x: Array) -> Array:
    crossed = cross(weights, f"{name}.cross", x, config.cross_layers, config.rank)
    if config.structure == "stacked":
        return mlp(weights, f"{name}.deep", crossed, len(config.hidden))
    return np.concatenate([crossed, mlp(weights, f"{name}.deep", x, len(config.hidden))])


def expert(config: Expert, weights: Weights, name: str, x: Array) -> Array:
    if isinstance(config, MlpConfig):
        return mlp(weights, name, x, len(config.hidden))
    if config.structure == "stacked":
        return dcn(config, weights, name, x)
    return linear(weights, f"{name}.1", dcn(config, weights, f"{name}.0", x))


def gate(weights: Weights, name: str, x: Array) -> Array:
    scores = linear(weights, f"{name}.linear", x)
    shares: Array = np.exp(scores) / np.exp(scores).sum()
    return shares


def mixed(weight: Array, outputs: Sequence[Array]) -> Array:
    total: Array = np.sum([one * output for one, output in zip(weight, outputs, strict=True)], axis=0)
    return total


def tower(config: CommonConfig, weights: Weights, head: int, f: Array) -> Array:
    name = f"towers.{head}"
    logit: Array = linear(weights, f"{name}.logit", mlp(weights, f"{name}.hidden", f, len(config.tower_hidden)))[0]
    return logit


def mixture(config: CamoeConfig | MmoeConfig, expert_config: Expert, weights: Weights, x: Array, heads: int) -> Output:
    outputs = [expert(expert_config, weights, f"experts.{number}", x) for number in range(config.experts)]
    gates = [gate(weights, f"gates.{head}", x) for head in range(heads)]
    return [tower(config, weights, head, mixed(gates[head], outputs)) for head in range(heads)], gates


def extraction(
    config: PleConfig, weights: Weights, name: str, own_x: Sequence[Array], shared_x: Array
) -> tuple[list[list[Array]], list[Array], list[Array], list[Array]]:
    """Return each head's own experts' outputs, shared ones, gates, and mixed inputs of the towers or the next layer."""
    own = [
        [expert(config.expert, weights, f"{name}.own.{head}.{number}", x) for number in range(config.own_experts)]
        for head, x in enumerate(own_x)
    ]
    shared = [
        expert(config.expert, weights, f"{name}.shared.{number}", shared_x) for number in range(config.shared_experts)
    ]
    gates = [gate(weights, f"{name}.gates.{head}", x) for head, x in enumerate(own_x)]
    return own, shared, gates, [mixed(one, [*outputs, *shared]) for one, outputs in zip(gates, own, strict=True)]


def ple(config: PleConfig, weights: Weights, x: Array, heads: int) -> Output:
    own_x, shared_x = [x] * heads, x
    for layer in range(config.layers - 1):
        name = f"lower.{layer}"
        own, shared, _, following = extraction(config, weights, f"{name}.extraction", own_x, shared_x)
        every = [*(output for outputs in own for output in outputs), *shared]
        own_x, shared_x = following, mixed(gate(weights, f"{name}.gate", shared_x), every)
    _, _, gates, f = extraction(config, weights, "last", own_x, shared_x)
    return [tower(config, weights, head, f[head]) for head in range(heads)], gates


def body(config: ModelConfig, weights: Weights, x: Array, heads: int) -> Output:
    """Return logits `[heads]` and gate weights `[heads, K]` of one row `x`; `weights` by name within the body."""
    if isinstance(config, CamoeConfig):
        return mixture(config, config.expert, weights, x, heads)
    if isinstance(config, MmoeConfig):
        return mixture(config, MlpConfig(kind="mlp", hidden=config.expert_hidden), weights, x, heads)
    if isinstance(config, PleConfig):
        return ple(config, weights, x, heads)
    if isinstance(config, SharedBottomConfig):
        shared = mlp(weights, "network", x, len(config.hidden))
    else:
        shared = dcn(config.network, weights, "network", x)
    return [tower(config, weights, head, shared) for head in range(heads)], np.empty((heads, 0))
