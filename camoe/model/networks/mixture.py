"""Experts that all heads share, a gate and a tower a head: CAMoE and MMoE."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from camoe.model.layers.gate import Gate, mix
from camoe.model.layers.linear import aligned
from camoe.model.networks.expert import Experts


class MixtureOfExperts(nn.Module):
    """`f_h = sum_k g_hk(x) E_k(x)`, `logit_h = tower_h(f_h)` (MMoE, Ma et al., KDD 2018).

    CAMoE (Verma, Chen & Mei, KDD 2025) has DCN-v2 experts, MMoE feed-forward ones.

    Args:
        experts: `[B, D]` to `[B, K, E]`.
        gates: `H` gates over them.
        towers: `H` modules `[B, E]` to `[B]`.
    """

    def __init__(self, experts: Experts, gates: Iterable[Gate], towers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.experts = experts
        self.gates = nn.ModuleList(gates)
        self.towers = nn.ModuleList(towers)
        self.gate_width = len(self.experts)
        self.kept = [tuple(range(self.gate_width)) for _ in self.gates]

    def keep(self, experts: Sequence[Sequence[int]]) -> None:
        """Let each head use those of its experts alone, for good; their weights sum to one again."""
        self.kept = [tuple(of) for of in experts]

    def head_logit(self, head: int, x: Tensor) -> Tensor:
        """Return the logit of one head alone: `[B, D]` to `[B]`. Only the experts that it uses are computed."""
        kept = self.kept[head]
        # One alone weighs one.
        mixed = (
            self.experts[kept[0]](x) if len(kept) == 1 else mix(self.gates[head](x, kept), self.experts.some(kept, x))
        )
        logit: Tensor = self.towers[head](mixed)
        return logit

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map `[B, D]` to logits `[B, H]` and gate weights `[B, H, K]`."""
        wide = aligned(x)
        outputs, weights = self.experts(wide), self.weights(wide)
        logits = [tower(mix(weight, outputs)) for tower, weight in zip(self.towers, weights, strict=True)]
        return torch.stack(logits, dim=1), torch.stack(weights, dim=1)

    def own_logits(self, x: Tensor, own: Tensor) -> Tensor:
        """Return the logits `[B, H]` of each head on its `own` rows, bool `[B, H]`; 0 on all others.

        Gates, mixtures and towers are computed on those rows alone. The gradient is that of `forward` where a loss
        leaves out the other rows.
        """
        if bool(own.all()):
            # Nothing to leave out, and so nothing to sort.
            every: Tensor = self(x)[0]
            return every
        wide = aligned(x)
        rows = [mine.nonzero().squeeze(1) for mine in own.unbind(dim=1)]
        sizes, order = [len(mine) for mine in rows], torch.cat(rows)
        # Taken once for all heads: each taking of its own would have a gradient as large as the whole.
        inputs, outputs = (of.index_select(0, order).split(sizes) for of in (wide, self.experts(wide)))
        logits = []
        for head, mine in enumerate(rows):
            weight = self._among(self.kept[head], self.gates[head], inputs[head])
            logit = self.towers[head](mix(weight, outputs[head]))
            logits.append(logit.new_zeros(len(x)).index_copy(0, mine, logit))
        return torch.stack(logits, dim=1)

    def weights(self, wide: Tensor) -> list[Tensor]:
        """Return each head's weights of the experts, `[B, K]`, for an input `[B, D]` that is `aligned`."""
        return [self._among(kept, gate, wide) for kept, gate in zip(self.kept, self.gates, strict=True)]

    def _among(self, kept: Sequence[int], gate: nn.Module, wide: Tensor) -> Tensor:
        """Return weights `[B, K]` that are zero beyond those of `kept`, which sum to one."""
        if len(kept) == self.gate_width:
            every: Tensor = gate(wide)
            return every
        own: Tensor = gate(wide, kept)
        place = torch.tensor(kept, device=own.device)
        return own.new_zeros(len(own), self.gate_width).index_copy(1, place, own)
