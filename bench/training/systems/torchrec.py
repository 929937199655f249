"""TorchRec: its fused embedding bags, whose row-wise Adagrad runs inside the backward pass, under plain dense layers.

It ships no MMoE. The dense part is that of the other systems in plain torch, with Adam.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchrec import EmbeddingBagConfig, KeyedJaggedTensor
from torchrec.modules.fused_embedding_modules import FusedEmbeddingBagCollection
from torchrec.optim import RowWiseAdagrad

from bench.training.rows import ADAGRAD_FACTOR, CROSSES, DEEP, DIM, EXPERT, EXPERTS, LABELS, TOWER, Rows

Batch = tuple[KeyedJaggedTensor, Tensor, Tensor]


def mlp(*widths: int) -> nn.Sequential:
    """Stack linear layers with ReLU."""
    return nn.Sequential(*(part for one, two in pairwise(widths) for part in (nn.Linear(one, two), nn.ReLU())))


class Mmoe(nn.Module):
    """`[B, D]` to logits `[B, H]`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(mlp(width, *EXPERT) for _ in range(EXPERTS))
        self.gates = nn.ModuleList(nn.Linear(width, EXPERTS) for _ in LABELS)
        self.towers = nn.ModuleList(nn.Sequential(mlp(EXPERT[-1], *TOWER), nn.Linear(TOWER[-1], 1)) for _ in LABELS)

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, D]` to `[B, H]`."""
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        mixed = [torch.bmm(gate(x).softmax(dim=1).unsqueeze(1), experts).squeeze(1) for gate in self.gates]
        return torch.cat([tower(one) for tower, one in zip(self.towers, mixed, strict=True)], dim=1)


class Dcn(nn.Module):
    """`[B, D]` to a logit `[B, 1]`: DCN-v2, parallel structure."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.crosses = nn.ModuleList(nn.Linear(width, width) for _ in range(CROSSES))
        self.deep = mlp(width, *DEEP)
        self.last = nn.Linear(width + DEEP[-1], 1)

    def forward(self, x0: Tensor) -> Tensor:
        """Map `[B, D]` to `[B, 1]`."""
        x = x0
        for cross in self.crosses:
            x = x0 * cross(x) + x
        logit: Tensor = self.last(torch.cat([x, self.deep(x0)], dim=1))
        return logit


@dataclass(frozen=True)
class TorchRec:
    """Embeddings with their optimiser inside, the dense part with its own, and batches."""

    embedding: FusedEmbeddingBagCollection
    dense: nn.Module
    adam: torch.optim.Adam
    batches: tuple[Batch, ...]
    held_out: tuple[Batch, ...]

    def logits(self, ids: KeyedJaggedTensor, numeric: Tensor) -> Tensor:
        """Return `[B, H]`."""
        logits: Tensor = self.dense(torch.cat([self.embedding(ids).values(), numeric], dim=1))
        return logits

    def train(self, batches: Iterable[int]) -> None:
        """Go forward, take the mean loss of each label, go backward, update."""
        for number in batches:
            ids, numeric, labels = self.batches[number]
            self.adam.zero_grad()
            terms = binary_cross_entropy_with_logits(self.logits(ids, numeric), labels, reduction="none")
            loss = terms.mean(dim=0).sum()
            loss.backward()
            self.adam.step()
            loss.item()

    @torch.no_grad()
    def predict(self) -> npt.NDArray[np.float32]:
        """Return `[N, H]`."""
        return torch.sigmoid(torch.cat([self.logits(ids, numeric) for ids, numeric, _ in self.held_out])).numpy()


def build(settings: dict[str, Any], learned: Rows, held_out: Rows) -> TorchRec:
    """Return the model `settings["model"]`."""
    several = settings["model"] == "mmoe"
    names = learned.categoricals
    tables = [EmbeddingBagConfig(learned.size, DIM, name=f"t_{name}", feature_names=[name]) for name in names]
    rate = ADAGRAD_FACTOR * settings["learning_rate"]
    embedding = FusedEmbeddingBagCollection(tables, RowWiseAdagrad, {"lr": rate})
    width = len(names) * DIM + len(learned.numerics)
    dense = Mmoe(width) if several else Dcn(width)
    adam = torch.optim.Adam(dense.parameters(), lr=settings["learning_rate"])
    native = tuple(tuple(_batch(part, several) for part in rows.batches()) for rows in (learned, held_out))
    return TorchRec(embedding, dense, adam, *native)


def _batch(rows: Rows, several: bool) -> Batch:
    values = torch.from_numpy(rows.categorical.T.astype(np.int64).reshape(-1))
    ids = KeyedJaggedTensor(rows.categoricals, values, lengths=torch.ones(len(values), dtype=torch.int64))
    labels = torch.from_numpy(rows.labels if several else rows.labels[:, :1]).float()
    return ids, torch.from_numpy(rows.numeric.copy()), labels
