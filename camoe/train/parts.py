"""The parts of a training run: models that are trained one after the other, each with checkpoints of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from camoe.config.pipeline import Config
from camoe.config.training import TrainingConfig
from camoe.model.spec import ModelSpec
from camoe.train.assemble import make_train_step
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.folder import part_name
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.resume import newest_whole
from camoe.train.checkpoint.state import read_run_state
from camoe.train.checkpoint.warm_start import warm_start
from camoe.train.data.training_inputs import TrainingInputs, training_columns
from camoe.train.distributed.workers import Workers, broadcast
from camoe.train.loop.feed import Feed, TrainingData
from camoe.train.loop.fit import TrainingRun, fit
from camoe.train.loop.teacher import require_known_values
from camoe.train.spec import model_spec
from camoe.train.supervision.watchdog import Watchdog
from camoe.train.tracking.tracker import Tracker


@dataclass(frozen=True)
class Shared:
    """What all parts of the run `name` have in common on this worker; `settings` as in `RunState`.

    `given` is the specification of the model where it is another than the configuration's.
    """

    name: str
    config: Config
    inputs: TrainingInputs
    settings: Mapping[str, Any]
    workers: Workers
    watchdog: Watchdog
    trackers: tuple[Tracker, ...] = ()
    given: ModelSpec | None = None

    @property
    def spec(self) -> ModelSpec:
        """The specification of the model that each part trains."""
        config, encoder = self.config, self.inputs.encoder
        return self.given or model_spec(config.model, config.model_features, config.heads, config.slots, encoder)


@dataclass(frozen=True)
class Part:
    """A part of a run: its number among all, how and from what it learns.

    `settings` are those that differ from the run's; `title` tells people what it is, `label` as in `TrainingRun`.
    """

    number: int
    training: TrainingConfig
    data: TrainingData
    settings: Mapping[str, Any]
    title: str
    label: str


@dataclass(frozen=True)
class Trained:
    """A part that is over: its run, whose model has the weights that were kept, and its history."""

    run: TrainingRun
    history: History


def parts_of(training: TrainingConfig) -> int:
    """Count the parts of a run: one a member, and with a refit one more each."""
    return training.ensemble * (2 if training.refit else 1)


def train_parts(shared: Shared, parts: Sequence[Part], earlier: int = 0) -> list[Trained]:
    """Train `parts` in turn, each from its newest checkpoint where it has one; `earlier` steps came before them."""
    trained = list[Trained]()
    for part in parts:
        trained.append(_trained(shared, part, earlier))
        earlier += trained[-1].history.steps
    return trained


def member_parts(shared: Shared) -> list[Part]:
    """Return the parts that train the members on the training days."""
    return [_member(shared, number) for number in range(1, shared.config.training.ensemble + 1)]


def refit_parts(shared: Shared, firsts: Sequence[Trained]) -> list[Part]:
    """Return the parts that train each of the members anew, on the validation days, too."""
    return [_refit(shared, number, first) for number, first in enumerate(firsts, 1)]


def steps_before(folder: Path, run: str, parts: int) -> int:
    """Count the steps that a `run` of so many parts was trained already, by its newest checkpoints in `folder`."""
    found = (newest_whole(folder, part_name(run, number))[0] for number in range(1, parts + 1))
    return sum(read_run_state(path).history.steps for path in found if path)


def _member(shared: Shared, number: int) -> Part:
    """Return the part of member `number`, from 1: of the seed after those of the members before."""
    config, inputs = shared.config, shared.inputs
    seed = config.training.seed + number - 1
    data = TrainingData(inputs.train, inputs.validation, training_columns(config))
    training = config.training.model_copy(update={"seed": seed})
    label = "" if number == 1 else f"seed{seed}/"
    return Part(number, training, data, {"training.seed": seed}, f"seed {seed}", label)


def _refit(shared: Shared, number: int, first: Trained) -> Part:
    """Return the part of member `number` that learns anew, from training and validation days, as `first` did.

    It makes as many passes as `first` had made at its best validation, on a schedule that is as many passes long: steps
    are in proportion to the rows. So the rates run through the same values, and each row comes as often.
    """
    was, data, history = first.run.config, first.run.data, first.history
    both = replace(data, train=shared.inputs.both, validation=None)
    more = both.epoch(was, 0).steps / data.epoch(was, 0).steps
    steps = None if was.steps is None else max(1, round(was.steps * more))
    training = was.model_copy(update={"steps": steps, "validate_every": None})
    best = history.best_place
    chosen = history.steps if best is None else history.steps_until(best)
    scheduled = both.scheduled_steps(training)
    until = max(1, round(chosen * scheduled / data.scheduled_steps(was)))
    settings = {"training.seed": was.seed, "training rows": both.train.content_hash(), "refit steps": until}
    title = f"refit of seed {was.seed} on training and validation days, {until:,} of {scheduled:,} steps"
    label = "refit/" if shared.config.training.ensemble == 1 else f"seed{was.seed}_refit/"
    place = shared.config.training.ensemble + number
    return Part(place, training, replace(both, until=until), settings, title, label)


def _trained(shared: Shared, part: Part, earlier: int) -> Trained:
    """Train one part of the run, from its newest checkpoint where it has one; `earlier` steps came before it."""
    config, workers, watchdog = shared.config, shared.workers, shared.watchdog
    layout, training = config.layout, part.training
    parts, name = parts_of(config.training), part_name(shared.name, part.number)
    if workers.leads and parts > 1:
        print(f"train: part {part.number} of {parts}: {part.title}", flush=True)
    start = _start(layout.checkpoints, name, workers.leads)
    begun = read_run_state(start).history if start else History()
    feed = Feed(part.data, training, workers.world, watchdog.note)
    watchdog.beat("planning the first epoch")
    # Opened before there is a model: its first row groups are read while the model is made.
    with feed.opened(begun) as first:
        spec = shared.spec
        require_known_values(training, shared.inputs.encoder)
        train_step = make_train_step(training, spec, part.data, workers, watchdog)
        keep = training.checkpoint.keep
        checkpoints = Checkpoints(layout.checkpoints, name, {**shared.settings, **part.settings}, keep)
        if training.warm_start is not None and start is None:
            watchdog.beat("the warm start")
            warm_start(train_step.model, spec, shared.inputs.encoder, training.warm_start)
        heads = tuple(head.name for head in config.heads.heads)
        own = TrainingRun(
            train_step, feed, checkpoints, watchdog, heads, shared.trackers, layout.logs, part.label, earlier
        )
        history = fit(own, first, start)
    if workers.leads:
        checkpoints.settle(history)
    train_step.optimisers.release()
    return Trained(own, history)


def _start(folder: Path, part: str, leads: bool) -> Path | None:
    """Return the checkpoint in `folder` that all workers go on from; None for the beginning of `part`."""
    start, faults = broadcast(newest_whole(folder, part), "checkpoint")
    for fault in faults if leads else ():
        print(f"train: passed over {fault}", flush=True)
    return start
