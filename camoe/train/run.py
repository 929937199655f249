"""A whole training run, as one worker sees it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from camoe.bundle.versions import current
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.model.ensemble import ensemble_of
from camoe.model.spec import ModelSpec
from camoe.train.checkpoint.folder import new_run, remove_all
from camoe.train.checkpoint.identity import run_settings
from camoe.train.data.training_inputs import TrainingInputs, open_training_inputs
from camoe.train.distributed.workers import barrier, broadcast, join_workers, leave_workers
from camoe.train.loop.calibrate import Calibrated, calibrate
from camoe.train.loop.precision import with_one_precision
from camoe.train.parts import Shared, Trained, parts_of, steps_before, train_members, train_refits
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
    started, layout = time.monotonic(), config.layout
    watchdog.beat("joining the other workers")
    workers = join_workers()
    watchdog.beat("agreeing on the table version")
    inputs = _agreed_inputs(config, table_version)
    name = broadcast(run or new_run(layout.checkpoints), "run")
    training = with_one_precision(config.training, workers)
    settings = run_settings(config, inputs) | {"training.precision": training.precision}
    watchdog.beat("opening the trackers")
    before = steps_before(layout.checkpoints, name, parts_of(training)) if workers.leads else 0
    tracked = TrackedRun(name, settings, inputs.train, layout.checkpoints)
    with trackers(training, layout.logs, tracked, before, workers.leads) as made:
        in_one_precision = config.model_copy(update={"training": training})
        shared = Shared(name, in_one_precision, inputs, settings, workers, watchdog, made)
        firsts = train_members(shared)
        spec = model_spec(config.model, config.features, config.heads, config.slots, inputs.encoder)
        spec = spec.model_copy(update={"members": len(firsts)})
        model = ensemble_of([one.run.train_step.model for one in firsts])
        calibrated = calibrate(firsts[0].run, model, spec, config.calibration, config.evaluation)
        refits = train_refits(shared, firsts) if training.refit else []
        watchdog.beat("writing the bundle")
        if workers.leads:
            seconds = time.monotonic() - started
            _write_bundle(config, shared, spec, calibrated, firsts=firsts, refits=refits, seconds=seconds)
        watchdog.beat("waiting for the bundle")
        barrier("done")
        # Not before: until all workers know of the bundle, one that is lost is one that the run goes on without.
        if workers.leads:
            remove_all(layout.checkpoints)
        watchdog.beat("leaving the other workers")
        leave_workers()


def _agreed_inputs(config: Config, table_version: int | None) -> TrainingInputs:
    """Open the inputs of `table_version` (default: the newest that rank 0 sees), the same on every worker."""
    opened = open_training_inputs(config, table_version)
    version = broadcast(opened.version, "table_version")
    return opened if opened.version == version else open_training_inputs(config, version)


def _write_bundle(
    config: Config,
    shared: Shared,
    spec: ModelSpec,
    calibrated: Calibrated,
    *,
    firsts: Sequence[Trained],
    refits: Sequence[Trained],
    seconds: float,
) -> None:
    """Write the bundle of the members, of the refits where there are some, and give it to the trackers."""
    inputs, watchdog, final = shared.inputs, shared.watchdog, refits or firsts
    histories = [one.history for one in firsts], [one.history for one in refits]
    metrics = training_metrics(config, inputs, firsts[0].run.train_step, *histories, seconds=seconds)
    metrics["validation"] = calibrated.rows
    bundle, origin = config.layout.bundle, Origin(inputs.both if refits else inputs.train, inputs.encoder, config)
    replaced, keep, by_head = current(bundle), config.training.keep_bundles, calibrated.by_head
    model = ensemble_of([one.run.train_step.model for one in final])
    manifest = write_bundle(bundle, model, spec, origin, metrics, calibration=by_head, keep=keep, alive=watchdog.alive)
    instead = f" in place of {replaced.model_version}" if replaced else ""
    print(f"train: bundle {manifest.model_version} written to {bundle}{instead}; the newest {keep} stay in {bundle}s")
    for tracker in shared.trackers:
        watchdog.alive(f"finishing {type(tracker).__name__}")
        tracker.finish(bundle, manifest, calibrated.rows)
