"""The part above the shared bottom: one of five architectures, chosen by the configuration's kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from camoe.config.model import (
    CamoeConfig,
    DcnModelConfig,
    ExpertConfig,
    MlpConfig,
    MmoeConfig,
    ModelConfig,
    PleConfig,
    SharedBottomConfig,
)
from camoe.model.layers.gate import Gate
from camoe.model.layers.mlp import mlp
from camoe.model.networks.dcn import DcnV2
from camoe.model.networks.expert import Experts
from camoe.model.networks.mixture import MixtureOfExperts
from camoe.model.networks.ple import Ple
from camoe.model.networks.shared_bottom import SharedBottom
from camoe.model.networks.tower import Tower

# From the shared bottom [B, D] to logits [B, H] and gate weights [B, H, K]; K is its `gate_width`.
Body = MixtureOfExperts | Ple | SharedBottom


def make_body(config: ModelConfig, width: int, heads: int) -> Body:
    """Return the body that `config` describes, over a shared bottom of `width` and for `heads` heads."""
    return BUILDERS[config.kind](config, width, heads)


def _camoe(config: CamoeConfig, width: int, heads: int) -> Body:
    return _mixture(config, config.expert, width, heads)


def _mmoe(config: MmoeConfig, width: int, heads: int) -> Body:
    return _mixture(config, MlpConfig(kind="mlp", hidden=config.expert_hidden), width, heads)


def _mixture(config: CamoeConfig | MmoeConfig, expert: ExpertConfig, width: int, heads: int) -> Body:
    return MixtureOfExperts(
        experts=Experts(config.experts, expert, width, config.dropout),
        gates=(Gate(width, config.experts, config.gate_scale) for _ in range(heads)),
        towers=(Tower(expert.hidden[-1], config.tower_hidden, config.dropout) for _ in range(heads)),
    )


def _ple(config: PleConfig, width: int, heads: int) -> Body:
    return Ple(width, heads, config, partial(Tower, hidden=config.tower_hidden, dropout=config.dropout))


def _shared_bottom(config: SharedBottomConfig, width: int, heads: int) -> Body:
    widths = [width, *config.hidden]
    network, out = mlp(widths, config.dropout), widths[-1]
    return SharedBottom(network, (Tower(out, config.tower_hidden, config.dropout) for _ in range(heads)))


def _dcn(config: DcnModelConfig, width: int, heads: int) -> Body:
    network = DcnV2(width, config.network, config.dropout)
    return SharedBottom(network, (Tower(network.width, config.tower_hidden, config.dropout) for _ in range(heads)))


# Each takes the configuration of its kind, the width of the shared bottom and the number of heads.
BUILDERS: Mapping[str, Callable[[Any, int, int], Body]] = {
    "camoe": _camoe,
    "mmoe": _mmoe,
    "ple": _ple,
    "shared_bottom": _shared_bottom,
    "dcn": _dcn,
}
