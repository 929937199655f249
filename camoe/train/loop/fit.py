"""The training loop: epochs over the plan, validations in and after each, checkpoints, the best weights kept."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil
from pathlib import Path

import torch
from torch import Tensor

from camoe.config.training import TrainingConfig
from camoe.contracts.errors import StreamError, TrainingError
from camoe.model.camoe import Camoe
from camoe.stream.describe import describe
from camoe.stream.ledger import Ledger, require_complete
from camoe.stream.planning.plan import BatchPlan
from camoe.stream.reading.columns import Block
from camoe.stream.stream import stream
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.history import Check, EpochResult, History, RunningLoss, Validation
from camoe.train.distributed.workers import Workers, broadcast_weights, gather, sum_over_workers
from camoe.train.loop.feed import Feed, OpenEpoch, TrainingData
from camoe.train.loop.gates import measure_gates
from camoe.train.loop.guard import LossGuard
from camoe.train.loop.over import entropies, why_over
from camoe.train.loop.progress import Progress, epoch_figures, step_figures
from camoe.train.loop.seeding import draw_rows, seed_step
from camoe.train.loop.step import TrainStep
from camoe.train.loop.validate import validate
from camoe.train.supervision.watchdog import Watchdog
from camoe.train.tracking.tracker import Tracker
from camoe.train.tracking.trackers import track


@dataclass(frozen=True)
class TrainingRun:
    """One training run, or a part of one, as one worker has it.

    `logs` is a folder for what a person may want to look at. Trackers know its figures by names that begin with
    `label`, and its steps after the `earlier` ones of the parts before.
    """

    train_step: TrainStep
    feed: Feed
    checkpoints: Checkpoints
    watchdog: Watchdog
    heads: tuple[str, ...]
    trackers: tuple[Tracker, ...]
    logs: Path
    label: str = ""
    earlier: int = 0

    @property
    def config(self) -> TrainingConfig:
        """Settings of the training."""
        return self.feed.config

    @property
    def data(self) -> TrainingData:
        """Snapshots and columns that the run reads."""
        return self.feed.data

    @property
    def workers(self) -> Workers:
        """This worker's place among all."""
        return self.train_step.workers

    def watched(
        self, blocks: Generator[Block, None, None], phase: str, steps: range
    ) -> Iterator[tuple[int, Block, float]]:
        """Yield (step, its block, seconds waited for it), and tell the watchdog whether the worker waits or works."""
        with contextlib.closing(blocks):
            for step in steps:
                asked = time.monotonic()
                self.watchdog.beat(f"the data of step {step + 1} of {phase}")
                block = next(blocks, None)
                if block is None:
                    raise StreamError(f"the stream ended before step {step + 1} of {phase}")
                self.watchdog.beat(f"step {step + 1} of {phase}")
                yield step, block, time.monotonic() - asked

    def track(self, figures: Iterator[tuple[str, float]], step: int) -> None:
        """Give the `figures` after `step` steps to all trackers."""
        track(self.trackers, ((f"{self.label}{name}", value) for name, value in figures), self.earlier + step)

    def count(self, plan: BatchPlan, ledger: Ledger, steps: range) -> int:
        """Check that all workers together had every row of `steps`; return how many that were."""
        self.watchdog.beat("counting the rows")
        summed = sum_over_workers(torch.from_numpy(ledger.as_array(plan)), "ledger").numpy()
        require_complete(plan, summed, steps.start, steps.stop)
        return int(summed[0].sum())

    def save(self, history: History) -> None:
        """Write a checkpoint; the other workers go on and wait for the first one at the next exchange."""
        self.watchdog.beat("writing a checkpoint")
        if self.workers.leads:
            optimisers = self.train_step.optimisers
            with optimisers.averaged():
                self.checkpoints.save(self.train_step.model, optimisers, history)


def fit(run: TrainingRun, first: OpenEpoch | None, start: Path | None = None) -> History:
    """Train from the checkpoint at `start`, or from the beginning; the model ends with the best weights.

    They are those of the best validation. `first` is what `run.feed.opened(start)` gave.

    Raises:
        TrainingError: loss or gradients are not finite, or the loss explodes; a checkpoint could not be read or
            written; the workers differ.
        StreamError: a row of the plan did not come exactly as often as planned.
    """
    history = _begin(run, start)
    total = run.data.total_steps(run.config)
    coming = first
    while coming is not None:
        history, coming = _run_epoch(run, history, coming, total)
        _tell(run, history, f"epoch {history.epoch} done")
        run.save(history)
    if run.workers.leads:
        print(f"train: {why_over(history, run.config, run.data.until)}", flush=True)
    if history.best_place != history.place:
        # From its checkpoint, as memory has no room for tables that nobody may need.
        run.watchdog.beat("the best weights")
        if run.workers.leads:
            run.checkpoints.load_best(history, run.train_step.model)
        broadcast_weights(run.train_step.model)
    else:
        run.train_step.optimisers.swap()
    return history


def _begin(run: TrainingRun, start: Path | None) -> History:
    if start is None:
        return History()
    history = run.checkpoints.restore(start, run.train_step.model, run.train_step.optimisers)
    if run.workers.leads:
        print(f"train: goes on at {history.describe()}, from {start}", flush=True)
    return history


def _tell(run: TrainingRun, history: History, where: str) -> None:
    """Tell people and trackers what the newest validation, the one of `where`, found."""
    run.watchdog.beat("the figures of a validation")
    if run.workers.leads:
        _, newest = history.validations[-1]
        run.track(epoch_figures(run.heads, newest), history.steps)
        found = f"  validation NE {entropies(run.heads, newest)}" if run.data.validation else ""
        print(f"train: {where}{found}", flush=True)


def _run_epoch(run: TrainingRun, history: History, epoch: OpenEpoch, total: int) -> tuple[History, OpenEpoch | None]:
    """Return the history with one epoch more, and the next epoch."""
    started = time.monotonic() - history.seconds
    plan, steps = epoch.plan, epoch.steps
    if run.workers.leads and history.epoch == 0:
        config, checked = run.config, run.data.check(run.config)
        within = config.validate_every is not None
        print(describe(plan, run.data.columns, config.stream.readers, checked, within), flush=True)
    trained, rows = _train(run, epoch, history)
    # Its first row groups are read while the rows of validation are.
    coming = run.feed.open(history.epoch + 1, 0, total - history.steps - len(steps))
    last = _check(run, trained.step)
    result = EpochResult(
        epoch=plan.epoch,
        losses=trained.losses,
        planned=_rows(plan, trained.step),
        rows=_rows(plan, steps.start) + rows,
        seconds=time.monotonic() - started,
        weights_hash=last.weights_hash,
        validation=last.validation,
        checks=trained.checks,
    )
    return History((*history.epochs, result), levels=trained.levels), coming


def _train(run: TrainingRun, epoch: OpenEpoch, history: History) -> tuple[History, int]:
    """Train the epoch's steps; return the history at their end, and their rows."""
    config, train_step, plan, steps, ledger = run.config, run.train_step, epoch.plan, epoch.steps, epoch.ledger
    started = time.monotonic() - history.seconds
    later = run.data.total_steps(config) - history.steps - len(steps)
    progress = Progress(plan.epoch, steps.start, steps.stop, later, run.heads)
    seen = None
    losses, levels = list(history.losses), history.levels or (RunningLoss(),) * len(run.heads)
    checked_at = validation_steps(config.validate_every, plan.steps)
    guard = LossGuard(config.exploding_loss, run.heads, run.workers, run.logs)
    for step, block, waited_s in run.watched(epoch.blocks, f"epoch {plan.epoch + 1}", steps):
        seed_step(config.seed, plan.epoch, step, run.workers.world.rank)
        if step % config.watch_every_steps == 0:
            seen = measure_gates(train_step, block)
            progress.behind_s += seen.behind_s
        result = train_step.step(block, _own_draw(plan, step, run.workers))
        losses.append(result.loss)
        levels = guard.check(levels, result, plan, step)
        if run.workers.leads:
            progress.advance(plan.batch_rows(step), waited_s, result, seen)
        if seen and step % config.watch_every_steps == 0:
            figures = chain(step_figures(run.heads, result, seen), progress.figures(result))
            run.track(figures, history.steps - history.step + step + 1)
        done, checked = step + 1, step + 1 in checked_at
        if done == steps.stop or not (checked or _due(config.checkpoint.every_steps, done)):
            continue
        run.count(plan, ledger, range(steps.start, done))
        history = replace(history, losses=tuple(losses), seconds=time.monotonic() - started, levels=levels)
        if checked:
            history = _validated_within(run, history, progress)
        run.save(history)
    trained = replace(history, losses=tuple(losses), levels=levels)
    return trained, run.count(plan, ledger, range(steps.start, trained.step))


def _validated_within(run: TrainingRun, history: History, progress: Progress) -> History:
    """Return `history`, which is within an epoch, with a validation there; its time is not that of steps."""
    asked = time.monotonic()
    with_one = replace(history, checks=(*history.checks, _check(run, history.step)))
    progress.started += time.monotonic() - asked
    _tell(run, with_one, f"epoch {history.epoch + 1}, step {history.step} done")
    return with_one


def _own_draw(plan: BatchPlan, step: int, workers: Workers) -> Tensor:
    """Return this worker's part of the numbers drawn for the rows of the global batch."""
    rows = plan.batch_rows(step)
    draw = draw_rows(plan.seed, plan.epoch, step, rows)
    return torch.from_numpy(draw[slice(*workers.world.share(rows))]).to(workers.device)


def validation_steps(every: int | float | None, steps: int) -> frozenset[int]:
    """Return after how many steps within an epoch of `steps` a validation comes, beside the one at its end.

    `every` is a number of steps, or a float that is a part of the epoch.
    """
    if every is None:
        return frozenset()
    stride = every * steps if isinstance(every, float) else every
    return frozenset(round(stride * number) for number in range(1, ceil(steps / stride))) - {0, steps}


def _due(every: int | None, steps: int) -> bool:
    return every is not None and steps % every == 0


def _rows(plan: BatchPlan, steps: int) -> int:
    """Count the rows of the first `steps` batches."""
    return min(steps * plan.batch_size, plan.rows)


def _check(run: TrainingRun, step: int) -> Check:
    """Validate the weights, or their average, after `step` steps of an epoch."""
    with run.train_step.optimisers.averaged():
        return Check(step, common_hash(run.train_step.model, run.workers), _validated(run))


def _validated(run: TrainingRun) -> Validation:
    plan, ledger, train_step = run.data.check(run.config), Ledger(), run.train_step
    if plan is None:
        return Validation.without_rows(len(run.heads))
    blocks = stream(plan, run.data.columns, run.workers.world, run.feed.reading(), ledger=ledger)
    steps = range(plan.steps)
    watched = (block for _, block, _ in run.watched(blocks, "validation", steps))
    checked = validate(train_step.model, train_step.masking, watched, run.workers, dtype=train_step.dtype)
    run.count(plan, ledger, steps)
    return checked


def common_hash(model: Camoe, workers: Workers) -> str:
    """Return the SHA-256 of all weights, which must be the same on all workers.

    Raises:
        TrainingError: the workers' weights differ.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy())
    hashes = gather(digest.hexdigest(), "weights_hash")
    if len(set(hashes)) > 1:
        raise TrainingError(f"the workers' weights differ: {', '.join(hashes)}; nothing was saved")
    return hashes[0]
