"""The training loop: epochs over the plan, validation after each, the best weights kept."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from camoe.contracts.errors import TrainingError
from camoe.contracts.snapshot import Snapshot
from camoe.model.camoe import Camoe
from camoe.stream.columns import Block, Columns
from camoe.stream.describe import describe
from camoe.stream.ledger import Ledger, require_complete
from camoe.stream.plan import Plan, make_plan
from camoe.stream.stream import Reading, stream
from camoe.train.config import TrainingConfig
from camoe.train.progress import Progress
from camoe.train.step import Learner
from camoe.train.validate import Validation, validate
from camoe.train.watchdog import Watchdog
from camoe.train.workers import Workers, gather, sum_over_workers


@dataclass(frozen=True)
class EpochResult:
    """One epoch: loss of every step, rows planned and trained, weights' hash (equal on all workers), validation."""

    epoch: int
    losses: tuple[float, ...]
    planned: int
    rows: int
    seconds: float
    weights_hash: str
    validation: Validation


@dataclass(frozen=True)
class Fitted:
    """All epochs; `best` is the number of the one whose weights the model has at the end."""

    epochs: tuple[EpochResult, ...]
    best: int


@dataclass(frozen=True)
class DataPlan:
    """What is trained on and what is validated on."""

    train: Snapshot
    validation: Snapshot
    columns: Columns

    def epoch(self, config: TrainingConfig, epoch: int) -> Plan:
        """The plan of one training epoch."""
        return make_plan(
            self.train,
            seed=config.seed,
            epoch=epoch,
            batch_size=config.batch_size,
            lanes=config.stream.lanes,
            mixing=config.stream.mixing,
        )

    def check(self, config: TrainingConfig) -> Plan:
        """The plan of the validation rows."""
        return make_plan(self.validation, seed=config.seed, epoch=0, batch_size=config.batch_size, lanes=1)


def fit(learner: Learner, data: DataPlan, config: TrainingConfig, watchdog: Watchdog) -> Fitted:
    """Train until the epochs are over or `patience` epochs brought no better validation NE; keep the best weights."""
    results: list[EpochResult] = []
    best = 0
    kept: dict[str, Tensor] = {}
    for epoch in range(config.epochs):
        result = _run_epoch(learner, data, config, epoch, watchdog)
        results.append(result)
        if learner.workers.leads:
            ne = ", ".join(f"{value:.4f}" for value in result.validation.ne)
            print(f"train: epoch {epoch + 1}/{config.epochs}  validation NE {ne}", flush=True)
        if not kept or result.validation.score < results[best].validation.score:
            best = epoch
            kept = {name: value.clone() for name, value in learner.model.state_dict().items()}
        elif epoch - best >= config.patience:
            break
    learner.model.load_state_dict(kept)
    return Fitted(tuple(results), best)


def _run_epoch(learner: Learner, data: DataPlan, config: TrainingConfig, epoch: int, watchdog: Watchdog) -> EpochResult:
    started = time.monotonic()
    plan = data.epoch(config, epoch)
    if learner.workers.leads and epoch == 0:
        print(describe(plan), flush=True)
    losses, rows = _train(learner, plan, data.columns, config, watchdog)
    digest = common_hash(learner.model, learner.workers)
    seconds = time.monotonic() - started
    check, ledger = data.check(config), Ledger()
    blocks = stream(check, data.columns, learner.workers.world, _reading(config, watchdog), ledger=ledger)
    watched = _watched(blocks, "validation", watchdog)
    checked = validate(learner.model, learner.masking, watched, learner.workers, learner.dtype)
    _count(check, ledger, watchdog)
    return EpochResult(epoch, tuple(losses), plan.rows, rows, seconds, digest, checked)


def _train(
    learner: Learner, plan: Plan, columns: Columns, config: TrainingConfig, watchdog: Watchdog
) -> tuple[list[float], int]:
    progress = Progress(plan.epoch, config.epochs, plan.steps)
    losses: list[float] = []
    ledger = Ledger()
    blocks = stream(plan, columns, learner.workers.world, _reading(config, watchdog), ledger=ledger)
    asked = time.monotonic()
    for step, block in enumerate(_watched(blocks, f"epoch {plan.epoch + 1}", watchdog)):
        waited = time.monotonic() - asked
        losses.append(learner.step(block))
        if not torch.isfinite(torch.tensor(losses[-1])):
            raise TrainingError(
                f"the loss is {losses[-1]} at step {step + 1} of epoch {plan.epoch + 1}; "
                "lower training.learning_rate or look for extreme values among the numeric features"
            )
        if learner.workers.leads:
            progress.advance(plan.batch_rows(step), waited, losses[-1])
        asked = time.monotonic()
    return losses, _count(plan, ledger, watchdog)


def _reading(config: TrainingConfig, watchdog: Watchdog) -> Reading:
    return Reading(config.stream.readers, config.stream.wait_report_s, watchdog.note, config.stream.retries)


def _watched(blocks: Generator[Block, None, None], phase: str, watchdog: Watchdog) -> Iterator[Block]:
    """`blocks`; the watchdog knows at each step whether the worker waits for data or is at work with the others."""
    with contextlib.closing(blocks):
        for step in itertools.count(1):
            watchdog.beat(f"the data of step {step} of {phase}")
            block = next(blocks, None)
            if block is None:
                return
            watchdog.beat(f"step {step} of {phase}")
            yield block


def _count(plan: Plan, ledger: Ledger, watchdog: Watchdog) -> int:
    """Check that all workers together had every row of the plan; how many that were."""
    watchdog.beat("counting the epoch's rows")
    summed = sum_over_workers(torch.from_numpy(ledger.as_array(plan)), "ledger").numpy()
    require_complete(plan, summed)
    return int(summed[0].sum())


def common_hash(model: Camoe, workers: Workers) -> str:
    """SHA-256 over all weights, which must be the same on all workers.

    Raises:
        TrainingError: the workers' weights differ.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    hashes = gather(digest.hexdigest(), "weights_hash")
    if len(set(hashes)) > 1:
        raise TrainingError(f"the workers' weights differ: {', '.join(hashes)}; nothing was saved")
    return hashes[0]
