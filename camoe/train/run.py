"""A whole training run, as one worker sees it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch

from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.config.training import TrainingConfig
from camoe.contracts.encoder import FIRST, Encoder
from camoe.contracts.errors import ConfigError
from camoe.metrics.intervals import optional
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import NumericTransform
from camoe.model.loss import make_normaliser, masking_of
from camoe.model.parameters import count_parameters, with_matched_parameters
from camoe.model.spec import ModelSpec
from camoe.stream.planning.slot_shares import slot_shares
from camoe.stream.reading.columns import model_columns
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.folder import new_run, newest, remove_all
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.identity import run_settings
from camoe.train.checkpoint.warm_start import warm_start
from camoe.train.data.training_inputs import (
    TrainingInputs,
    open_training_inputs,
)
from camoe.train.data.transforms import fit_transforms
from camoe.train.distributed.workers import Workers, barrier, broadcast, broadcast_weights, join_workers, leave_workers
from camoe.train.loop.calibrate import calibrate
from camoe.train.loop.feed import Feed, TrainingData
from camoe.train.loop.fit import TrainingRun, fit
from camoe.train.loop.negatives import make_sampling
from camoe.train.loop.precision import settled
from camoe.train.loop.step import TrainStep
from camoe.train.optimiser.optimisers import make_optimisers
from camoe.train.supervision.watchdog import Watchdog
from camoe.train.tracking.trackers import trackers


def run_worker(config: Config, watchdog: Watchdog, table_version: int | None = None, run: str | None = None) -> None:
    """Train on `table_version` (default: the newest that the first worker sees); the first worker writes the bundle.

    With checkpoints of `run` (default: a new one) training goes on from the newest; when it is over, all are removed.
    `watchdog` watches already.

    Raises:
        SnapshotError, EncoderError, TrainingError: see `open_training_inputs` and `fit`.
    """
    started = time.monotonic()
    with ExitStack() as tracking:
        watchdog.beat("joining the other workers")
        workers = join_workers()
        watchdog.beat("agreeing on the table version")
        opened = open_training_inputs(config, table_version)
        version = broadcast(opened.version, "table_version")
        inputs = opened if opened.version == version else open_training_inputs(config, version)
        name = broadcast(run or new_run(), "run")
        whole, spec, fitted = _fitted(config, inputs, workers, watchdog, name, tracking=tracking)
        calibrated = calibrate(whole, config)
        watchdog.beat("writing the bundle")
        if workers.leads:
            model = whole.train_step.model
            metrics = metrics_document(config, inputs, whole.train_step, fitted, time.monotonic() - started)
            metrics["validation"] = calibrated.rows
            origin = Origin(inputs.train, inputs.encoder, config)
            manifest = write_bundle(config.layout.bundle, model, spec, origin, metrics, calibration=calibrated.by_head)
            print(f"train: bundle {manifest.model_version} written to {config.layout.bundle}", flush=True)
            for tracker in whole.trackers:
                watchdog.alive(f"finishing {type(tracker).__name__}")
                tracker.finish(config.layout.bundle, manifest, calibrated.rows)
        watchdog.beat("waiting for the bundle")
        barrier("done")
        # Not before: until all workers know of the bundle, one that is lost is one that the run goes on without.
        if workers.leads:
            remove_all(config.layout.checkpoints)
        watchdog.beat("leaving the other workers")
        leave_workers()


def _fitted(
    config: Config, inputs: TrainingInputs, workers: Workers, watchdog: Watchdog, name: str, *, tracking: ExitStack
) -> tuple[TrainingRun, ModelSpec, History]:
    """The run `name` when its epochs are over; its trackers last as long as `tracking`."""
    training = config.training
    data = TrainingData(inputs.train, inputs.validation, model_columns(config.features, config.heads.objectives))
    feed = Feed(data, training, workers.world, watchdog.note)
    start = broadcast(newest(config.layout.checkpoints, name), "checkpoint")
    watchdog.beat("planning the first epoch")
    # Opened before there is a model: its first row groups are read while the model is made.
    with feed.opened(start) as first:
        spec = model_spec(config, inputs.encoder)
        train_step = make_train_step(config, spec, data, workers, watchdog)
        settings = run_settings(config, inputs) | {"training.precision": train_step.config.precision}
        checkpoints = Checkpoints(config.layout.checkpoints, name, settings, training.checkpoint.keep)
        if training.warm_start is not None and start is None:
            watchdog.beat("the warm start")
            warm_start(train_step.model, spec, inputs.encoder, training.warm_start)
        names = tuple(head.name for head in config.heads.heads)
        watchdog.beat("opening the trackers")
        tracked = tracking.enter_context(trackers(config, checkpoints, inputs.train, start, workers.leads))
        run = TrainingRun(train_step, feed, checkpoints, watchdog, names, tracked, config.layout.logs)
        return run, spec, fit(run, first, start)


def model_spec(config: Config, encoder: Encoder) -> ModelSpec:
    """What the model of `config` is made of, for rows that `encoder` wrote."""
    sizes = tuple(encoder.column_sizes(config.features).values())
    spec = ModelSpec(
        model=config.model,
        features=config.features,
        heads=config.heads,
        slots=config.slots,
        vocabulary_sizes=sizes,
        head_indices=_head_indices(config, encoder),
    )
    return with_matched_parameters(spec)


def _head_indices(config: Config, encoder: Encoder) -> tuple[int, ...]:
    column = config.heads.column
    if column is None:
        return ()
    known = encoder.values[column]
    missing = [value for value in config.heads.values if value not in known]
    if missing:
        raise ConfigError(
            f"a head selects {column} '{missing[0]}', which the training days have too rarely for the vocabulary; "
            "correct the heads file or lower the feature's min_count"
        )
    return tuple(FIRST + known.index(value) for value in config.heads.values)


def make_train_step(
    config: Config, spec: ModelSpec, data: TrainingData, workers: Workers, watchdog: Watchdog
) -> TrainStep:
    """A fresh model of `spec`, the same on all workers, with its optimisers."""
    training, features = config.training, config.features.numeric
    transforms = fit_transforms(data.train, features, workers, watchdog, training.stream.retries)
    watchdog.beat("making the model")
    shares = slot_shares(data.epoch(training, 0))
    steps = data.total_steps(training)
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
    """As `make_train_step`, for numerics of known `transforms` and slots of known shares of the rows."""
    dtype = torch.float64 if training.dtype == "float64" else torch.float32
    torch.manual_seed(training.seed)
    model = Camoe(spec, transforms).to(dtype)
    if workers.leads:
        print(f"train: {spec.model.summary}, {len(spec.heads.heads)} heads, {count_parameters(model)}", flush=True)
    broadcast_weights(model)
    model.to(workers.device)
    masking = masking_of(spec, adaptive=training.mask).to(workers.device)
    share = torch.tensor([slot_share.get(slot.id, 0.0) for slot in spec.slots.slots], dtype=torch.float64)
    normaliser = make_normaliser(training.normalise, masking, share)
    optimisers = make_optimisers(model, training, total_steps)
    sampling = make_sampling(spec.heads, training.negatives, workers.device)
    precise = settled(training, workers)
    return TrainStep(model, optimisers, masking, workers, normaliser, dtype, sampling, precise)


def metrics_document(
    config: Config, inputs: TrainingInputs, train_step: TrainStep, fitted: History, seconds: float
) -> dict[str, Any]:
    """What metrics.json tells of the run that took `seconds`; None for figures that are not finite."""
    best = fitted.epochs[fitted.best].validation
    return {
        "epochs": [
            {
                "epoch": result.epoch + 1,
                "train_loss": sum(result.losses) / len(result.losses),
                "validation_ne": [optional(value) for value in result.validation.ne],
                "validation_score": optional(result.validation.score),
                "planned": result.planned,
                "rows": result.rows,
                "seconds": round(result.seconds, 2),
                "weights_hash": result.weights_hash,
                "losses": list(result.losses),
            }
            for result in fitted.epochs
        ],
        "best_epoch": fitted.best,
        "gate_weights": dict(zip((head.name for head in config.heads.heads), best.gates, strict=True)),
        "parameters": sum(weight.numel() for weight in train_step.model.parameters()),
        "workers": train_step.workers.world.size,
        "device": train_step.workers.device.type,
        "precision": train_step.config.precision,
        "seconds": round(seconds, 2),
        "learning": {"mask": config.training.mask, "negatives": config.training.negatives},
        "data": {
            "train_days": [day.isoformat() for day in config.days.train.days()],
            "validation_days": [day.isoformat() for day in config.days.validation.days()],
            "train_rows": inputs.train.rows,
            "validation_rows": inputs.validation.rows,
        },
    }
