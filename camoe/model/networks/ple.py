"""Progressive layered extraction: experts of each head's own beside shared ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from camoe.config.model import PleConfig
from camoe.model.layers.gate import Gate, mix
from camoe.model.networks.expert import Experts


class Extraction(nn.Module):
    """The "customized gate control" of PLE (Tang et al., RecSys 2020).

    `f_h = sum_k g_hk(x_h) [own_h(x_h); shared(x_s)]_k` over the `M` experts of head h and the `S` shared ones.

    Args:
        width: width `D` of the inputs `x_h` and `x_s`.
        heads: number `H` of heads.
        config: experts and gates.
    """

    def __init__(self, width: int, heads: int, config: PleConfig) -> None:
        super().__init__()
        number = config.own_experts + config.shared_experts
        self.own = nn.ModuleList(
            Experts(config.own_experts, config.expert, width, config.dropout) for _ in range(heads)
        )
        self.shared = Experts(config.shared_experts, config.expert, width, config.dropout)
        self.gates = nn.ModuleList(Gate(width, number, config.gate_scale) for _ in range(heads))

    def head(self, head: int, own_x: Tensor, shared_x: Tensor) -> Tensor:
        """Return `f_h` of one head alone: `[B, D]` twice to `[B, E]`."""
        return mix(self.gates[head](own_x), torch.cat([self.own[head](own_x), self.shared(shared_x)], dim=1))

    def experts(self, own_x: Sequence[Tensor], shared_x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the experts' outputs: of each head `[B, M, E]`, and the shared ones' `[B, S, E]`."""
        return [experts(x) for experts, x in zip(self.own, own_x, strict=True)], self.shared(shared_x)

    def mixed(self, own_x: Sequence[Tensor], own: Sequence[Tensor], shared: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return `f_h` of each head, `[B, E]`, and the gates' weights `[B, H, M + S]`, own experts first."""
        weights = [gate(x) for gate, x in zip(self.gates, own_x, strict=True)]
        parts = zip(weights, own, strict=True)
        mixed = [mix(weight, torch.cat([outputs, shared], dim=1)) for weight, outputs in parts]
        return mixed, torch.stack(weights, dim=1)


class SharedExtraction(nn.Module):
    """An extraction below another one: beside `f_h` also `f_s`, mixed of all `H M + S` experts by a gate over `x_s`.

    Arguments as of `Extraction`.
    """

    def __init__(self, width: int, heads: int, config: PleConfig) -> None:
        super().__init__()
        self.extraction = Extraction(width, heads, config)
        self.gate = Gate(width, heads * config.own_experts + config.shared_experts, config.gate_scale)

    def forward(self, own_x: Sequence[Tensor], shared_x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Map `H` and one `[B, D]` to `H` and one `[B, E]`."""
        own, shared = self.extraction.experts(own_x, shared_x)
        mixed, _ = self.extraction.mixed(own_x, own, shared)
        return mixed, mix(self.gate(shared_x), torch.cat([*own, shared], dim=1))


class Ple(nn.Module):
    """`config.layers` extractions and a tower a head; all inputs of the first one are the shared bottom `x`.

    With one layer, a head's own gate, experts and tower learn from its own rows only.

    Args:
        width: width `D` of `x`.
        heads: number `H` of heads.
        config: layers, experts, gates.
        tower: makes a tower from the width of its input.
    """

    def __init__(self, width: int, heads: int, config: PleConfig, tower: Callable[[int], nn.Module]) -> None:
        super().__init__()
        out = config.expert.hidden[-1]
        *lower, last = [width, *[out] * (config.layers - 1)]
        self.lower = nn.ModuleList(SharedExtraction(one, heads, config) for one in lower)
        self.last = Extraction(last, heads, config)
        self.towers = nn.ModuleList(tower(out) for _ in range(heads))
        self.gate_width = config.own_experts + config.shared_experts

    def head_logit(self, head: int, x: Tensor) -> Tensor:
        """Return the logit of one head alone: `[B, D]` to `[B]`. The last layer's other heads are left out."""
        own, shared = self._lower(x)
        logit: Tensor = self.towers[head](self.last.head(head, own[head], shared))
        return logit

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map `[B, D]` to logits `[B, H]` and the last layer's gate weights `[B, H, M + S]`, own experts first."""
        own, shared = self._lower(x)
        mixed, weights = self.last.mixed(own, *self.last.experts(own, shared))
        logits = [tower(f) for tower, f in zip(self.towers, mixed, strict=True)]
        return torch.stack(logits, dim=1), weights

    def _lower(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        own, shared = [x] * len(self.towers), x
        for layer in self.lower:
            own, shared = layer(own, shared)
        return own, shared
