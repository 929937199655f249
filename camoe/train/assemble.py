"""Assembles the training step: model, loss and optimisers, the same on all workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from camoe.config.training import TrainingConfig
from camoe.model.camoe import Camoe
from camoe.model.ensemble import keep_experts
from camoe.model.layers.scaling import NumericTransform
from camoe.model.loss import make_normaliser, masking_of
from camoe.model.parameters import count_parameters
from camoe.model.spec import ModelSpec
from camoe.stream.planning.slot_shares import slot_shares
from camoe.train.data.transforms import fit_transforms
from camoe.train.distributed.workers import Workers, broadcast_weights
from camoe.train.loop.feed import TrainingData
from camoe.train.loop.negatives import make_sampling
from camoe.train.loop.precision import with_one_precision
from camoe.train.loop.step import TrainStep
from camoe.train.loop.teacher import make_teacher
from camoe.train.optimiser.optimisers import make_optimisers
from camoe.train.supervision.watchdog import Watchdog


def make_train_step(
    training: TrainingConfig, spec: ModelSpec, data: TrainingData, workers: Workers, watchdog: Watchdog
) -> TrainStep:
    """Make a fresh model of `spec`, the same on all workers, and its optimisers, for a run over `data`."""
    transforms = fit_transforms(data.train, spec.features.numerics, workers, watchdog, training.stream.retries)
    watchdog.beat("making the model")
    shares = slot_shares(data.epoch(training, 0))
    steps = data.scheduled_steps(training)
    return assemble_train_step(training, spec, transforms, workers, slot_share=shares, total_steps=steps)


def assemble_train_step(
    training: TrainingConfig,
    spec: ModelSpec,
    transforms: Sequence[NumericTransform],
    workers: Workers,
    *,
    slot_share: Mapping[str, float],
    total_steps: int,
) -> TrainStep:
    """Do as `make_train_step` does, for numerics of known `transforms` and slots of known shares of the rows."""
    dtype = torch.float64 if training.dtype == "float64" else torch.float32
    torch.manual_seed(training.seed)
    model = Camoe(spec, transforms).to(dtype)
    keep_experts(model, spec.kept_experts)
    if workers.leads:
        print(f"train: {spec.model.summary}, {len(spec.heads.heads)} heads, {count_parameters(model)}", flush=True)
    broadcast_weights(model)
    model.to(workers.device)
    masking = masking_of(spec, adaptive=training.mask).to(workers.device)
    share = torch.tensor([slot_share.get(slot.id, 0.0) for slot in spec.slots.slots], dtype=torch.float64)
    normaliser = make_normaliser(training.normalise, masking, share)
    optimisers = make_optimisers(model, training, total_steps)
    sampling = make_sampling(spec.heads, training.negatives, workers.device)
    exact, teacher = with_one_precision(training, workers), make_teacher(training, spec, workers.device)
    return TrainStep(model, optimisers, masking, workers, normaliser, dtype, sampling, exact, teacher)
