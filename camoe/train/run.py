"""A whole training run, as one worker sees it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from camoe.bundle.published import fetched
from camoe.bundle.versions import current, home
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.model.ensemble import Model, ensemble_of
from camoe.model.spec import ModelSpec
from camoe.train.checkpoint.folder import new_run, remove_all
from camoe.train.checkpoint.identity import run_settings
from camoe.train.data.training_inputs import TrainingInputs, open_training_inputs
from camoe.train.distributed.workers import barrier, broadcast, join_workers, leave_workers
from camoe.train.loop.calibrate import Calibrated, calibrate
from camoe.train.loop.fit import TrainingRun
from camoe.train.loop.precision import with_one_precision
from camoe.train.loop.served import Kept, keep_most_used
from camoe.train.parts import Shared, Trained, member_parts, parts_of, refit_parts, steps_before, train_parts
from camoe.train.supervision.watchdog import Watchdog
from camoe.train.tracking.mlflow_tracker import TrackedRun
from camoe.train.tracking.tracker import Tracker
from camoe.train.tracking.trackers import trackers
from camoe.train.training_metrics import refit_metrics, training_metrics


def run_worker(
    config: Config,
    watchdog: Watchdog,
    version: int | None = None,
    run: str | None = None,
    more: Sequence[Tracker] = (),
    *,
    spec: ModelSpec | None = None,
) -> None:
    """Train on `version` of the table (default: the newest that the first worker sees), which writes the bundle.

    With checkpoints of `run` (default: a new one) training goes on from the newest; when it is over, all are removed.
    `watchdog` watches already. `more` trackers take the figures, too; what one raises ends the run. With a `spec` the
    model is that one, and not the configuration's.

    Raises:
        SnapshotError, EncoderError, TrainingError: see `open_training_inputs` and `fit`.
    """
    started, layout = time.monotonic(), config.layout
    watchdog.beat("joining the other workers")
    workers = join_workers()
    watchdog.beat("agreeing on the table version")
    inputs = _agreed_inputs(config, version)
    name = broadcast(run or new_run(layout.checkpoints), "run")
    training = with_one_precision(config.training, workers)
    settings = run_settings(config, inputs) | {"training.precision": training.precision}
    watchdog.beat("opening the trackers")
    before = steps_before(layout.checkpoints, name, parts_of(training)) if workers.leads else 0
    tracked = TrackedRun(name, settings, inputs.train, layout.checkpoints)
    with trackers(training, layout.logs, tracked, before, workers.leads) as made:
        exact = config.model_copy(update={"training": training})
        shared = Shared(name, exact, inputs, settings, workers, watchdog, (*made, *more), spec)
        served = _served(shared)
        watchdog.beat("writing the bundle")
        if workers.leads:
            seconds = {"seconds": round(time.monotonic() - started, 2)}
            _write_bundle(config, shared, replace(served, metrics=served.metrics | seconds))
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


@dataclass(frozen=True)
class _Served:
    """What a run has come to: the model that is served, its calibration, and the metrics of its bundle."""

    spec: ModelSpec
    model: Model
    calibrated: Calibrated
    metrics: dict[str, Any]


def _served(shared: Shared) -> _Served:
    """Train the members, calibrate them, and train each anew where that is asked for."""
    config, inputs = shared.config, shared.inputs
    trained = train_parts(shared, member_parts(shared))
    first, model = trained[0].run, _model(trained)
    spec = _spec(shared, len(trained), _kept(shared, first, model))
    calibrated = calibrate(first, model, spec, config.calibration, config.evaluation)
    metrics = training_metrics(config, inputs, first.train_step, [one.history for one in trained])
    metrics["validation"] = calibrated.rows
    metrics["scores"] = [one.model_dump() for one in calibrated.scores]
    if not config.training.refit:
        return _Served(spec, model, calibrated, metrics)
    parts, earlier = refit_parts(shared, trained), sum(one.history.steps for one in trained)
    # It reads the validation days, as the parts to come do not.
    feed = first.feed
    # The models before are known by their metrics now, and their memory is needed.
    del first, model, trained
    trained = train_parts(shared, parts, earlier)
    metrics["refit"] = refit_metrics([one.history for one in trained])
    model = _model(trained)
    kept = _kept(shared, replace(trained[0].run, feed=feed), model)
    return _Served(_spec(shared, len(trained), kept), model, calibrated, metrics)


def _kept(shared: Shared, run: TrainingRun, model: Model) -> Kept:
    return keep_most_used(run, model, shared.config.training.served_experts) or shared.spec.kept_experts


def _spec(shared: Shared, members: int, kept: Kept) -> ModelSpec:
    return shared.spec.model_copy(update={"members": members, "kept_experts": kept})


def _model(trained: Sequence[Trained]) -> Model:
    return ensemble_of([one.run.train_step.model for one in trained])


def _write_bundle(config: Config, shared: Shared, served: _Served) -> None:
    """Write the model as a bundle and give it to the trackers."""
    inputs, watchdog = shared.inputs, shared.watchdog
    learned_from = inputs.both if config.training.refit else inputs.train
    bundle, origin = config.layout.bundle, Origin(learned_from, inputs.encoder, config)
    replaced, keep = current(bundle), config.training.keep_bundles
    manifest = write_bundle(
        bundle, served.model, served.spec, origin, served.metrics,
        calibration=served.calibrated.by_head, keep=keep, alive=watchdog.alive,
    )  # fmt: skip
    instead = f" in place of {replaced.model_version}" if replaced else ""
    print(
        f"train: bundle {manifest.model_version} written to {bundle}{instead}; the newest {keep} stay in {home(bundle)}"
    )
    for tracker in shared.trackers:
        watchdog.alive(f"finishing {type(tracker).__name__}")
        tracker.finish(fetched(bundle), manifest, served.calibrated.rows)
