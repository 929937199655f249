"""FuxiCTR: MMoE and DCN-v2 of its layers, and its own epoch, which clips the norm of all gradients, with its Adam.

Its package holds the base models and the layers; the models of its zoo are put together of them here as described
there, gates without hidden layers. As all its models do, they embed the numerics too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import CrossNetV2, FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import BaseModel, MultiTaskModel
from torch import nn

from bench.training.rows import CROSSES, DEEP, DIM, EXPERT, EXPERTS, LABELS, TOWER, Rows

Batch = dict[str, torch.Tensor]
REST = {"verbose": 0, "model_root": "unused", "metrics": ["AUC"], "gpu": -1}
# What `fit` sets before an epoch by default.
CLIP_NORM = 10.0


class Mmoe(MultiTaskModel):
    """MMoE of FuxiCTR's embedding and MLP blocks."""

    def __init__(self, features: FeatureMap, width: int) -> None:
        tasks = ["binary_classification"] * len(LABELS)
        super().__init__(features, task=tasks, num_tasks=len(tasks), **REST)
        self.embedding_layer = FeatureEmbedding(features, DIM)
        self.experts = nn.ModuleList(MLP_Block(width, list(EXPERT)) for _ in range(EXPERTS))
        self.gates = nn.ModuleList(MLP_Block(width, [], output_dim=EXPERTS) for _ in LABELS)
        self.towers = nn.ModuleList(MLP_Block(EXPERT[-1], list(TOWER), output_dim=1) for _ in LABELS)

    def forward(self, inputs: Batch) -> Batch:
        """Return a prediction `[B, 1]` a label."""
        x = self.embedding_layer(self.get_inputs(inputs)).flatten(start_dim=1)
        experts = torch.stack([expert(x) for expert in self.experts], dim=1)
        mixed = [(gate(x).softmax(dim=-1).unsqueeze(-1) * experts).sum(dim=1) for gate in self.gates]
        parts = zip(LABELS, self.output_activation, self.towers, mixed, strict=True)
        return {f"{label}_pred": activation(tower(one)) for label, activation, tower, one in parts}


class Dcn(BaseModel):
    """DCN-v2, parallel structure, of FuxiCTR's cross network and MLP block."""

    def __init__(self, features: FeatureMap, width: int) -> None:
        super().__init__(features, **REST)
        self.embedding_layer = FeatureEmbedding(features, DIM)
        self.crosses = CrossNetV2(width, CROSSES)
        self.deep = MLP_Block(width, list(DEEP))
        self.last = nn.Linear(width + DEEP[-1], 1)

    def forward(self, inputs: Batch) -> Batch:
        """Return the prediction `[B, 1]`."""
        x = self.embedding_layer(self.get_inputs(inputs)).flatten(start_dim=1)
        return {"y_pred": self.output_activation(self.last(torch.cat([self.crosses(x), self.deep(x)], dim=-1)))}


def _finished(model: BaseModel, learning_rate: float) -> BaseModel:
    model.compile("adam", "binary_crossentropy", learning_rate)
    model.reset_parameters()
    model._eval_steps, model._total_steps = sys.maxsize, 0
    model._max_gradient_norm, model._stop_training = CLIP_NORM, False
    return model


@dataclass(frozen=True)
class Fuxi:
    """A compiled model and its batches."""

    model: Any
    batches: tuple[Batch, ...]
    held_out: tuple[Batch, ...]

    def train(self, batches: Iterable[int]) -> None:
        """Run its epoch over these batches."""
        self.model.train_epoch([self.batches[number] for number in batches])

    @torch.no_grad()
    def predict(self) -> npt.NDArray[np.float32]:
        """Return `[N, H]`."""
        model = self.model.eval()
        made = (list(model(batch).values()) for batch in self.held_out)
        return torch.cat([torch.cat(columns, dim=1) for columns in made]).numpy()


def build(settings: dict[str, Any], learned: Rows, held_out: Rows) -> Fuxi:
    """Return the model `settings["model"]`."""
    several = settings["model"] == "mmoe"
    features = FeatureMap("made_up", ".")
    for name in learned.categoricals:
        features.features[name] = {"source": "", "type": "categorical", "vocab_size": learned.size}
    features.features |= {name: {"source": "", "type": "numeric"} for name in learned.numerics}
    features.labels = list(LABELS if several else LABELS[:1])
    features.num_fields = features.get_num_fields()
    width = features.num_fields * DIM
    native = tuple(tuple(_batch(part, features.labels) for part in rows.batches()) for rows in (learned, held_out))
    model = (Mmoe if several else Dcn)(features, width)
    return Fuxi(_finished(model, settings["learning_rate"]), *native)


def _batch(rows: Rows, labels: list[str]) -> Batch:
    batch = {name: torch.from_numpy(rows.categorical[:, i].copy()) for i, name in enumerate(rows.categoricals)}
    batch |= {name: torch.from_numpy(rows.numeric[:, i].copy()) for i, name in enumerate(rows.numerics)}
    return batch | {name: torch.from_numpy(rows.labels[:, i].copy()) for i, name in enumerate(labels)}
