"""A training run of one worker inside the test's process, over the rows of the small pipeline."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

from camoe.config.pipeline import Config
from camoe.contracts.encoder import Encoder
from camoe.model.spec import ModelSpec
from camoe.stream.api import Block
from camoe.stream.ledger import Ledger
from camoe.stream.planning.world import World
from camoe.stream.stream import ReadOptions, stream
from camoe.train.assemble import make_train_step
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.state import read_run_state
from camoe.train.data.training_inputs import open_training_inputs, training_columns
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.feed import Feed, TrainingData
from camoe.train.loop.fit import TrainingRun, fit
from camoe.train.loop.step import TrainStep
from camoe.train.spec import model_spec
from camoe.train.supervision.heartbeats import worker_folder
from camoe.train.supervision.watchdog import Watchdog

RUN = "20260101T000000000000Z"


def wide(config: Config, encoder: Encoder, vocabulary: int | None) -> ModelSpec:
    """Return the model, with a first column of so many values where that is given."""
    spec = model_spec(config.model, config.model_features, config.heads, config.slots, encoder)
    sizes = (vocabulary or spec.vocabulary_sizes[0], *spec.vocabulary_sizes[1:])
    return spec.model_copy(update={"vocabulary_sizes": sizes})


def first_block(config: Config, data: TrainingData) -> Block:
    """Return the rows of the first step, by a stream of its own."""
    plan = data.epoch(config.training, 0)
    with contextlib.closing(stream(plan, data.columns, World(0, 1), ReadOptions(), ledger=Ledger())) as blocks:
        return next(blocks)


def fresh_learner(config: Config, vocabulary: int | None = None) -> tuple[TrainStep, TrainingData]:
    """Make a model that has learned nothing yet; return it with what it is to learn from. See `wide`."""
    inputs = open_training_inputs(config)
    data = TrainingData(inputs.train, inputs.validation, training_columns(config))
    workers = join_workers()
    watchdog = Watchdog(workers.world, config.training.stall_timeout_s, worker_folder(config.layout.logs))
    spec = wide(config, inputs.encoder, vocabulary)
    return make_train_step(config.training, spec, data, workers, watchdog), data


def fitted(config: Config, start: Path | None = None, vocabulary: int | None = None) -> tuple[TrainStep, History]:
    """Train a model from the checkpoint at `start`, or from the beginning; its checkpoints stay."""
    train_step, data = fresh_learner(config, vocabulary)
    torch.set_num_threads(1)  # Products as small as these gain nothing by more.
    layout, names = config.layout, tuple(head.name for head in config.heads.heads)
    checkpoints = Checkpoints(layout.checkpoints, RUN, {}, config.training.checkpoint.keep)
    with Watchdog(train_step.workers.world, config.training.stall_timeout_s, worker_folder(layout.logs)) as watchdog:
        feed = Feed(data, config.training, train_step.workers.world, watchdog.note)
        begun = read_run_state(start).history if start else History()
        with feed.opened(begun) as first:
            run = TrainingRun(train_step, feed, checkpoints, watchdog, names, (), layout.logs)
            return train_step, fit(run, first, start)
