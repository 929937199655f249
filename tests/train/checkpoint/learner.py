"""A small model that learns in this process, and its checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from camoe.config.pipeline import Config
from camoe.contracts.encoder import Encoder
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import Moments
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.history import EpochResult, Validation
from camoe.train.loop.seeding import seed_step
from camoe.train.optimiser.optimisers import Optimisers, make_optimisers
from camoe.train.spec import model_spec
from tests.train.pipeline import VALUES

RUN = "20260101T000000000000Z"
SETTINGS = {"training.seed": 1, "training.learning_rate": 0.001, "table version": 3}


def fresh(config: Config, seed: int = 0, average: float | None = None) -> tuple[Camoe, Optimisers]:
    """Return a model that has learned nothing, and what is to teach it."""
    torch.manual_seed(seed)
    model = Camoe(
        model_spec(config.model, config.features, config.heads, config.slots, Encoder(1, {"genre": VALUES})),
        [Moments(0.0, 1.0)],
    )
    return model, make_optimisers(model, config.training.model_copy(update={"average": average}), 100)


def learn(model: Camoe, optimisers: Optimisers, steps: Iterable[int]) -> None:
    """Train as one worker on rows that depend on the step only."""
    for step in steps:
        seed_step(1, 0, step, 0)
        random = np.random.default_rng(step)
        categorical = torch.from_numpy(random.integers(0, 12, (16, 1)).astype(np.int32))
        numeric = torch.from_numpy(random.normal(size=(16, 1)).astype(np.float32))
        optimisers.zero_grad()
        logits, *_ = model(categorical, numeric)
        label = torch.from_numpy(random.integers(0, 2, logits.shape).astype(np.float32))
        torch.autograd.backward(binary_cross_entropy_with_logits(logits, label))
        optimisers.step()


def epochs(*scores: float) -> tuple[EpochResult, ...]:
    """Return what came of one epoch a score."""
    return tuple(
        EpochResult(n, (0.5, 0.4), 9, 9, 1.0, "h", Validation((float("nan"), s), ((1.0,),), s))
        for n, s in enumerate(scores)
    )


def checkpoints(folder: Path, **changes: Any) -> Checkpoints:
    """Return the checkpoints of a run in `folder`."""
    return replace(Checkpoints(folder, RUN, SETTINGS, keep=2), **changes)
