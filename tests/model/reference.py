"""The published formulas of every architecture in plain numpy, one row at a time, over a model's weights by name."""

from __future__ import annotations

import numpy as np


def linear(weights, name, x):
    return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0.0)


def mlp(weights, name, x, layers):
    # Each layer is a linear, a ReLU and a dropout.
    for layer in range(layers):
        x = np.maximum(linear(weights, f"{name}.{3 * layer}", x), 0)
    return x


def cross(weights, name, x0, layers, rank):
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


def dcn(config, weights, name, x):
    crossed = cross(weights, f"{name}.cross", x, config.cross_layers, config.rank)
    if config.structure == "stacked":
        return mlp(weights, f"{name}.deep", crossed, len(config.hidden))
    return np.concatenate([crossed, mlp(weights, f"{name}.deep", x, len(config.hidden))])


def expert(config, weights, name, x):
    if config.kind == "mlp":
        return mlp(weights, name, x, len(config.hidden))
    if config.structure == "stacked":
        return dcn(config, weights, name, x)
    return linear(weights, f"{name}.1", dcn(config, weights, f"{name}.0", x))


def gate(weights, name, x):
    scores = linear(weights, f"{name}.linear", x)
    return np.exp(scores) / np.exp(scores).sum()


def mixed(weight, outputs):
    return sum(one * output for one, output in zip(weight, outputs, strict=True))


def tower(config, weights, head, f):
    name = f"towers.{head}"
    return linear(weights, f"{name}.logit", mlp(weights, f"{name}.hidden", f, len(config.tower_hidden)))[0]


def mixture(config, expert_config, weights, x, heads):
    outputs = [expert(expert_config, weights, f"experts.{number}", x) for number in range(config.experts)]
    gates = [gate(weights, f"gates.{head}", x) for head in range(heads)]
    return [tower(config, weights, head, mixed(gates[head], outputs)) for head in range(heads)], gates


def extraction(config, weights, name, own_x, shared_x):
    """Own experts' outputs of each head, shared ones, gates, and the mixed inputs of the towers or the next layer."""
    own = [
        [expert(config.expert, weights, f"{name}.own.{head}.{number}", x) for number in range(config.own_experts)]
        for head, x in enumerate(own_x)
    ]
    shared = [
        expert(config.expert, weights, f"{name}.shared.{number}", shared_x) for number in range(config.shared_experts)
    ]
    gates = [gate(weights, f"{name}.gates.{head}", x) for head, x in enumerate(own_x)]
    return own, shared, gates, [mixed(one, [*outputs, *shared]) for one, outputs in zip(gates, own, strict=True)]


def ple(config, weights, x, heads):
    own_x, shared_x = [x] * heads, x
    for layer in range(config.layers - 1):
        name = f"lower.{layer}"
        own, shared, _, following = extraction(config, weights, f"{name}.extraction", own_x, shared_x)
        every = [*(output for outputs in own for output in outputs), *shared]
        own_x, shared_x = following, mixed(gate(weights, f"{name}.gate", shared_x), every)
    _, _, gates, f = extraction(config, weights, "last", own_x, shared_x)
    return [tower(config, weights, head, f[head]) for head in range(heads)], gates


def body(config, weights, x, heads):
    """Logits `[heads]` and gate weights `[heads, K]` of one row `x`; `weights` by name within the body."""
    if config.kind == "camoe":
        return mixture(config, config.expert, weights, x, heads)
    if config.kind == "mmoe":
        expert_config = type("Mlp", (), {"kind": "mlp", "hidden": config.expert_hidden})
        return mixture(config, expert_config, weights, x, heads)
    if config.kind == "ple":
        return ple(config, weights, x, heads)
    if config.kind == "shared_bottom":
        shared = mlp(weights, "network", x, len(config.hidden))
    else:
        shared = dcn(config.network, weights, "network", x)
    return [tower(config, weights, head, shared) for head in range(heads)], np.empty((heads, 0))
