"""Rows of known click probabilities, and a model that learns them by the training job's own steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit

from camoe.config.model import CamoeConfig, DcnConfig
from camoe.config.model_features import ModelFeatures
from camoe.config.training import TrainingConfig
from camoe.contracts.features import Categorical, Numeric
from camoe.metrics.calibration import expected_calibration_error
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram
from camoe.metrics.ranking import average_precision
from camoe.model.layers.scaling import Moments
from camoe.model.spec import ModelSpec
from camoe.stream.reading.columns import Block, model_columns
from camoe.train.assemble import assemble_train_step
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.seeding import draw_rows
from camoe.train.loop.step import TrainStep
from camoe.train.loop.tensors import to_tensors
from tests.model.specs import HEADS, SLOTS

CATEGORICALS, VALUES, NUMERICS = 5, 40, 2
# Standard deviations on the logit, of each categorical's effects, of a product of two hidden factors, of a numeric.
EFFECT, PRODUCT, WEIGHT = 0.5, 0.7, 0.4
# Of each slot: the logit without effects. In all, one row in ten of the audio slots is clicked, one in four of video.
BIAS = np.array([-3.0, -3.0, -1.5])
SHARES = (0.4, 0.3, 0.3)
SPEC = ModelSpec(
    model=CamoeConfig(embedding_dim=4, experts=2, expert=DcnConfig(cross_layers=2, hidden=(16, 8)), tower_hidden=(8,)),
    features=ModelFeatures(
        categorical=tuple(Categorical(name=f"c{number}", sql="x") for number in range(CATEGORICALS)),
        numeric=tuple(Numeric(name=f"n{number}", sql="x", missing_indicator=False) for number in range(NUMERICS)),
    ),
    heads=HEADS,
    slots=SLOTS,
    vocabulary_sizes=(VALUES,) * CATEGORICALS,
)
HEAD_OF_SLOT = np.array([0, 0, 1])
TRAINING = TrainingConfig(batch_size=500, learning_rate=0.01, embedding_learning_rate=0.15)


def planted(rows: int, seed: int) -> Block:
    """Draw `rows` rows; another `seed` gives other rows of the same probabilities given the features."""
    world, random = np.random.default_rng(0), np.random.default_rng([1, seed])
    categorical = random.integers(0, VALUES, (rows, CATEGORICALS))
    numeric = random.normal(size=(rows, NUMERICS))
    slot = random.choice(len(SHARES), rows, p=SHARES)
    effects, factors = world.normal(size=(2, CATEGORICALS, VALUES))
    chosen = np.arange(CATEGORICALS), categorical
    logit = BIAS[slot] + EFFECT * effects[chosen].sum(axis=1) + WEIGHT * numeric.sum(axis=1)
    logit += PRODUCT * factors[chosen][:, 0] * factors[chosen][:, 1]
    columns = model_columns(SPEC.features, SPEC.heads.objectives)
    block = Block(columns, np.zeros((rows, columns.words), dtype=np.int32))
    block.categorical[:], block.numeric[:], block.slot[:] = categorical, numeric, slot
    block.labels[:, 0] = random.random(rows) < expit(logit)
    return block


def learned(training: TrainingConfig, rows: Block, spec: ModelSpec = SPEC) -> TrainStep:
    """A model of `spec` that has seen `rows` once, in batches of the configured size."""
    steps = rows.rows // training.batch_size
    share = {slot.id: share for slot, share in zip(SLOTS.slots, SHARES, strict=True)}
    moments = [Moments(0.0, 1.0)] * NUMERICS
    workers = join_workers()
    torch.set_num_threads(1)  # Products as small as these gain nothing by more.
    train_step = assemble_train_step(training, spec, moments, workers, slot_share=share, total_steps=steps)
    order = np.random.default_rng([2, training.seed]).permutation(rows.rows)
    for step in range(steps):
        own = order[step * training.batch_size : (step + 1) * training.batch_size]
        draw = torch.from_numpy(draw_rows(training.seed, 0, step, training.batch_size))
        train_step.step(Block(rows.columns, rows.records[own]), draw)
    return train_step


@dataclass(frozen=True)
class Quality:
    """AUC-PR and ECE of one head on all its rows."""

    auc_pr: float
    ece: float


def own_logits(train_step: TrainStep, rows: Block) -> npt.NDArray[np.float64]:
    """Return each row's logit by the head of its slot: float64 `[B]`."""
    batch = to_tensors(rows, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        logits, _ = train_step.model.eval()(batch.categorical, batch.numeric, batch.sequences)
    own: npt.NDArray[np.float64] = logits.double().numpy()[np.arange(rows.rows), HEAD_OF_SLOT[rows.slot]]
    return own


def quality(p: npt.NDArray[np.float64], rows: Block) -> dict[str, Quality]:
    """Measure probabilities `p` `[B]` of `rows` by head."""
    found = {}
    for number, head in enumerate(SPEC.heads.heads):
        own = HEAD_OF_SLOT[rows.slot] == number
        bins = Histogram.from_rows(p[own], rows.labels[own, 0]).bins()
        ece = float(expected_calibration_error(bins, EvaluationConfig().ece_bins))
        assert ece is not None
        found[head.name] = Quality(float(average_precision(bins)), ece)
    return found
