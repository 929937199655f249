"""This project: its model, its optimisers and its training step, as its workers assemble them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bench.training.rows import ADAGRAD_FACTOR, CROSSES, DEEP, DIM, EXPERT, EXPERTS, LABELS, TOWER, Rows
from camoe.config.model import CamoeConfig, DcnConfig, DcnModelConfig, MmoeConfig, ModelConfig
from camoe.config.model_features import ModelFeatures
from camoe.config.training import TrainingConfig
from camoe.contracts.features import Categorical, Numeric
from camoe.contracts.heads import Head, HeadSet
from camoe.contracts.slots import Slot, SlotCatalogue
from camoe.model.layers.scaling import Moments
from camoe.model.spec import ModelSpec
from camoe.stream.api import Block, Columns, model_columns
from camoe.train.assemble import assemble_train_step
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.step import TrainStep
from camoe.train.loop.tensors import to_tensors

NETWORK = DcnConfig(cross_layers=CROSSES, hidden=DEEP)
MODELS: dict[str, ModelConfig] = {
    "mmoe": MmoeConfig(kind="mmoe", embedding_dim=DIM, experts=EXPERTS, expert_hidden=EXPERT, tower_hidden=TOWER),
    "dcn": DcnModelConfig(kind="dcn", embedding_dim=DIM, network=NETWORK, tower_hidden=()),
    "camoe": CamoeConfig(embedding_dim=DIM, experts=EXPERTS, expert=NETWORK, tower_hidden=TOWER),
}
# The other libraries learn every label from every row; with adaptive loss masking a head learns from its slots.
HEADS = {
    "mmoe": HeadSet(heads=tuple(Head(name=name, objective=name) for name in LABELS)),
    "dcn": HeadSet(heads=(Head(name="all", objective=LABELS[0]),)),
    "camoe": HeadSet(
        heads=tuple(Head(name=m, objective=LABELS[0], where={"modality": (m,)}) for m in ("audio", "video"))
    ),
}
SLOTS = SlotCatalogue(slots=tuple(Slot(id=f"s_{m}", name=m, modality=m) for m in ("audio", "video")))


@dataclass(frozen=True)
class Ours:
    """A learner and its blocks."""

    train_step: TrainStep
    blocks: tuple[Block, ...]
    held_out: tuple[Block, ...]

    def train(self, batches: Iterable[int]) -> None:
        """Take the training job's step, a block at a time."""
        self.train_step.model.train()
        for number in batches:
            self.train_step.step(self.blocks[number])

    @torch.no_grad()
    def predict(self) -> npt.NDArray[np.float32]:
        """Return `[N, H]`."""
        self.train_step.model.eval()
        tensors = (to_tensors(block, torch.device("cpu"), self.train_step.dtype) for block in self.held_out)
        logits = [self.train_step.model(each.categorical, each.numeric)[0] for each in tensors]
        return torch.sigmoid(torch.cat(logits)).numpy()


def build(settings: dict[str, Any], learned: Rows, held_out: Rows) -> Ours:
    """Return the model `settings["model"]`, trained as `settings["training"]` and this benchmark's own values say."""
    model = settings["model"]
    spec = spec_of(model, [learned.size] * len(learned.categoricals), len(learned.numerics), SLOTS)
    columns = model_columns(spec.features, spec.heads.objectives)
    blocks = tuple(_block(columns, rows) for rows in learned.batches())
    shares = {slot.id: float((learned.slot == number).mean()) for number, slot in enumerate(SLOTS.slots)}
    training = TrainingConfig.model_validate({**_rates(settings), **settings["training"]})
    train_step = learner_of(training, spec, shares, settings["schedule_steps"])
    return Ours(train_step, blocks, tuple(_block(columns, rows) for rows in held_out.batches()))


def _rates(settings: dict[str, Any]) -> dict[str, Any]:
    adam = settings["training"].get("embedding_optimiser") == "adam"
    rate = settings["learning_rate"]
    embeddings = {"embedding_learning_rate": rate if adam else ADAGRAD_FACTOR * rate}
    return {"batch_size": settings["batch"], "seed": settings["seed"], "learning_rate": rate, **embeddings}


def spec_of(model: str, sizes: Sequence[int], numerics: int, slots: SlotCatalogue) -> ModelSpec:
    """Return the model called `model` over categoricals of these `sizes`."""
    return ModelSpec(
        model=MODELS[model],
        features=ModelFeatures(
            categorical=tuple(Categorical(name=f"c{number}", sql="x") for number in range(len(sizes))),
            numeric=tuple(Numeric(name=f"n{number}", sql="x", missing_indicator=False) for number in range(numerics)),
        ),
        heads=HEADS[model],
        slots=slots,
        vocabulary_sizes=tuple(sizes),
    )


def learner_of(training: TrainingConfig, spec: ModelSpec, slot_share: Mapping[str, float], steps: int) -> TrainStep:
    """Return what the training job would assemble, for numerics that need no scaling."""
    transforms = [Moments(0.0, 1.0)] * len(spec.features.numeric)
    return assemble_train_step(training, spec, transforms, join_workers(), slot_share=slot_share, total_steps=steps)


def _block(columns: Columns, rows: Rows) -> Block:
    """Lay records out as the stream has them."""
    block = Block(columns, np.zeros((len(rows), columns.words), dtype=np.int32))
    block.categorical[:], block.numeric[:], block.slot[:] = rows.categorical, rows.numeric, rows.slot
    block.labels[:] = rows.labels[:, : len(columns.labels)]
    return block
