"""CAMoE: shared embeddings, DCN-v2 experts shared by all heads, a softmax gate and a tower per head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camoe.model.embedding import JointEmbedding
from camoe.model.expert import Expert
from camoe.model.mlp import mlp
from camoe.model.scaling import NumericScaling, Treatment
from camoe.model.spec import ModelSpec


class Camoe(nn.Module):
    """Modality-aware mixture of experts after Verma, Chen & Mei (KDD 2025), on MMoE (Ma et al., KDD 2018).

    `x = [emb(categorical); scale(numeric)]`, `g_h = softmax(G_h x)`, `f_h = sum_e g_he E_e(x)`,
    `logit_h = tower_h(f_h)`.

    Shapes: B rows, C categorical columns, F numerics, H heads, K experts.
    """

    def __init__(self, spec: ModelSpec, treatments: Sequence[Treatment]) -> None:
        super().__init__()
        config = spec.model
        heads = len(spec.heads.heads)
        out = config.expert_hidden[-1]
        self.embedding = JointEmbedding(spec.vocabulary_sizes, config.embedding_dim)
        self.scaling = NumericScaling(spec.features.numeric, treatments)
        width = len(spec.vocabulary_sizes) * config.embedding_dim + self.scaling.width
        self.dropout = nn.Dropout(config.dropout)
        self.experts = nn.ModuleList(Expert(width, config) for _ in range(config.experts))
        self.gates = nn.ModuleList(nn.Linear(width, config.experts) for _ in range(heads))
        self.towers = nn.ModuleList(
            nn.Sequential(
                mlp([out, *config.tower_hidden], config.dropout), nn.Linear(([out, *config.tower_hidden])[-1], 1)
            )
            for _ in range(heads)
        )

    def bottom(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        """The shared bottom: `[B, C]` and `[B, F]` to `[B, D]`."""
        x = torch.cat([self.embedding(categorical), self.scaling(numeric)], dim=1)
        dropped: Tensor = self.dropout(x)
        return dropped

    def gate(self, head: int, x: Tensor) -> Tensor:
        """Weights of the experts for one head: `[B, D]` to `[B, K]`, each row summing to one."""
        return torch.softmax(self.gates[head](x), dim=1)

    def head_logit(self, head: int, categorical: Tensor, numeric: Tensor) -> Tensor:
        """The logit of one head alone: `[B]`."""
        x = self.bottom(categorical, numeric)
        return self._tower(head, self._experts(x), self.gate(head, x))

    def forward(self, categorical: Tensor, numeric: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, C]` indices and `[B, F]` raw numerics to logits `[B, H]` and gate weights `[B, H, K]`."""
        x = self.bottom(categorical, numeric)
        experts = self._experts(x)
        weights = [self.gate(head, x) for head in range(len(self.gates))]
        logits = [self._tower(head, experts, weight) for head, weight in enumerate(weights)]
        return torch.stack(logits, dim=1), torch.stack(weights, dim=1)

    def _experts(self, x: Tensor) -> Tensor:
        return torch.stack([expert(x) for expert in self.experts], dim=1)

    def _tower(self, head: int, experts: Tensor, weight: Tensor) -> Tensor:
        mixed = (weight.unsqueeze(2) * experts).sum(dim=1)
        logit: Tensor = self.towers[head](mixed)
        return logit.squeeze(1)
