"""Ordinary trainings by one worker in this process, and the bundle of a model that was cut and not yet trained."""

from __future__ import annotations

import json
from typing import Any

from camoe.bundle.manifest import METRICS, Bundle
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.model.camoe import Camoe
from camoe.model.spec import ModelSpec
from camoe.study.network import watched
from camoe.train.assemble import make_train_step
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.folder import new_run
from camoe.train.data.training_inputs import TrainingInputs, training_columns
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.calibrate import Calibrated, calibrate
from camoe.train.loop.feed import Feed, TrainingData
from camoe.train.loop.fit import TrainingRun
from camoe.train.run import run_worker


def train(config: Config, version: int, spec: ModelSpec | None = None) -> None:
    """Train as `config` says, a model of `spec` where it is given, and write the bundle.

    Raises:
        CamoeError: as `run_worker` does.
    """
    with watched(config) as watchdog:
        run_worker(config, watchdog, version, spec=spec)


def write_cut(config: Config, inputs: TrainingInputs, model: Camoe, spec: ModelSpec, source: Bundle) -> None:
    """Calibrate `model` of `spec`, which was cut from `source`, on the validation days, and write its bundle.

    Raises:
        CamoeError: as `calibrate` and `write_bundle` do.
    """
    with watched(config) as watchdog:
        workers, training = join_workers(), config.training
        data = TrainingData(inputs.train, inputs.validation, training_columns(config))
        step, feed = (
            make_train_step(training, spec, data, workers, watchdog),
            Feed(data, training, workers.world, watchdog.note),
        )
        checkpoints = Checkpoints(config.layout.checkpoints, new_run(config.layout.checkpoints), {}, 1)
        names = tuple(head.name for head in spec.heads.heads)
        run = TrainingRun(step, feed, checkpoints, watchdog, names, (), config.layout.logs)
        calibrated = calibrate(run, model, spec, config.calibration, config.evaluation)
        write_bundle(
            config.layout.bundle, model, spec, Origin(inputs.train, inputs.encoder, config),
            _metrics(source, model, calibrated), calibration=calibrated.by_head, keep=training.keep_bundles,
            alive=watchdog.alive,
        )  # fmt: skip


def _metrics(source: Bundle, model: Camoe, calibrated: Calibrated) -> dict[str, Any]:
    """Return the metrics of `source`, from which the model was cut, with what is another's now."""
    size = sum(weight.numel() for weight in model.parameters())
    own = {"parameters": size, "validation": calibrated.rows, "cut_from": source.manifest.model_version}
    return {**json.loads(source.read(METRICS)), **own}
