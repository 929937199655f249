"""A whole training run, as one worker sees it."""

from __future__ import annotations

import time
from pathlib import Path

from camoe.bundle.versions import current
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.model.spec import ModelSpec
from camoe.stream.reading.columns import model_columns
from camoe.train.assemble import make_train_step
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.folder import new_run, remove_all
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.identity import run_settings
from camoe.train.checkpoint.resume import newest_whole
from camoe.train.checkpoint.state import read_run_state
from camoe.train.checkpoint.warm_start import warm_start
from camoe.train.data.training_inputs import TrainingInputs, open_training_inputs
from camoe.train.distributed.workers import barrier, broadcast, join_workers, leave_workers
from camoe.train.loop.calibrate import Calibrated, calibrate
from camoe.train.loop.feed import Feed, TrainingData
from camoe.train.loop.fit import TrainingRun, fit
from camoe.train.spec import model_spec
from camoe.train.supervision.watchdog import Watchdog
from camoe.train.tracking.mlflow_tracker import TrackedRun
from camoe.train.tracking.trackers import trackers
from camoe.train.training_metrics import training_metrics


def run_worker(config: Config, watchdog: Watchdog, table_version: int | None = None, run: str | None = None) -> None:
    """Train on `table_version` (default: the newest that the first worker sees); the first worker writes the bundle.

    With checkpoints of `run` (default: a new one) training goes on from the newest; when it is over, all are removed.
    `watchdog` watches already.

    Raises:
        SnapshotError, EncoderError, TrainingError: see `open_training_inputs` and `fit`.
    """
    started, training, layout = time.monotonic(), config.training, config.layout
    watchdog.beat("joining the other workers")
    workers = join_workers()
    watchdog.beat("agreeing on the table version")
    inputs = _agreed_inputs(config, table_version)
    name = broadcast(run or new_run(layout.checkpoints), "run")
    start = _start(layout.checkpoints, name, workers.leads)
    begun = read_run_state(start).history if start else History()
    data = TrainingData(inputs.train, inputs.validation, model_columns(config.features, config.heads.objectives))
    feed = Feed(data, training, workers.world, watchdog.note)
    watchdog.beat("planning the first epoch")
    # Opened before there is a model: its first row groups are read while the model is made.
    with feed.opened(begun) as first:
        spec = model_spec(config.model, config.features, config.heads, config.slots, inputs.encoder)
        train_step = make_train_step(training, spec, data, workers, watchdog)
        settings = run_settings(config, inputs) | {"training.precision": train_step.config.precision}
        checkpoints = Checkpoints(layout.checkpoints, name, settings, training.checkpoint.keep)
        if training.warm_start is not None and start is None:
            watchdog.beat("the warm start")
            warm_start(train_step.model, spec, inputs.encoder, training.warm_start)
        watchdog.beat("opening the trackers")
        tracked = TrackedRun(name, settings, inputs.train, layout.checkpoints)
        with trackers(training, layout.logs, tracked, begun.steps, workers.leads) as made:
            heads = tuple(head.name for head in config.heads.heads)
            whole = TrainingRun(train_step, feed, checkpoints, watchdog, heads, made, layout.logs)
            history = fit(whole, first, start)
            calibrated = calibrate(whole, spec, config.calibration, config.evaluation)
            watchdog.beat("writing the bundle")
            if workers.leads:
                seconds = time.monotonic() - started
                metrics = training_metrics(config.days, heads, inputs, train_step, history, seconds=seconds)
                metrics["validation"] = calibrated.rows
                _write_bundle(config, inputs, spec, whole, calibrated, metrics=metrics)
            watchdog.beat("waiting for the bundle")
            barrier("done")
            # Not before: until all workers know of the bundle, one that is lost is one that the run goes on without.
            if workers.leads:
                remove_all(layout.checkpoints)
            watchdog.beat("leaving the other workers")
            leave_workers()


def _start(folder: Path, run: str, leads: bool) -> Path | None:
    """Return the checkpoint in `folder` that all workers go on from; None for the beginning of `run`."""
    start, faults = broadcast(newest_whole(folder, run), "checkpoint")
    for fault in faults if leads else ():
        print(f"train: passed over {fault}", flush=True)
    return start


def _agreed_inputs(config: Config, table_version: int | None) -> TrainingInputs:
    """Open the inputs of `table_version` (default: the newest that rank 0 sees), the same on every worker."""
    opened = open_training_inputs(config, table_version)
    version = broadcast(opened.version, "table_version")
    return opened if opened.version == version else open_training_inputs(config, version)


def _write_bundle(
    config: Config,
    inputs: TrainingInputs,
    spec: ModelSpec,
    run: TrainingRun,
    calibrated: Calibrated,
    *,
    metrics: dict[str, object],
) -> None:
    """Write the bundle of `run` and give it to the trackers."""
    run.train_step.optimisers.release()
    bundle, origin = config.layout.bundle, Origin(inputs.train, inputs.encoder, config)
    replaced, model, keep = current(bundle), run.train_step.model, config.training.keep_bundles
    calibration, alive = calibrated.by_head, run.watchdog.alive
    manifest = write_bundle(bundle, model, spec, origin, metrics, calibration=calibration, keep=keep, alive=alive)
    instead = f" in place of {replaced.model_version}" if replaced else ""
    print(f"train: bundle {manifest.model_version} written to {bundle}{instead}; the newest {keep} stay in {bundle}s")
    for tracker in run.trackers:
        run.watchdog.alive(f"finishing {type(tracker).__name__}")
        tracker.finish(bundle, manifest, calibrated.rows)
