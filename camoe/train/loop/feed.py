"""What a run reads, and the epochs of it, opened before their turn so that their first row groups are there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from camoe.config.training import TrainingConfig
from camoe.contracts.snapshot import Snapshot
from camoe.stream.ledger import Ledger
from camoe.stream.planning.plan import BatchPlan, make_plan
from camoe.stream.planning.world import World
from camoe.stream.reading.buffers import Buffers
from camoe.stream.reading.columns import Block, Columns
from camoe.stream.stream import ReadOptions, stream
from camoe.train.checkpoint.history import History
from camoe.train.checkpoint.state import read_run_state


@dataclass(frozen=True)
class TrainingData:
    """What is trained on and what is validated on."""

    train: Snapshot
    validation: Snapshot
    columns: Columns

    def epoch(self, config: TrainingConfig, epoch: int) -> BatchPlan:
        """The plan of one training epoch."""
        return make_plan(
            self.train,
            seed=config.seed,
            epoch=epoch,
            batch_size=config.batch_size,
            lanes=config.stream.lanes,
            mixing=config.stream.mixing,
        )

    def check(self, config: TrainingConfig) -> BatchPlan:
        """The plan of the validation rows."""
        return make_plan(self.validation, seed=config.seed, epoch=0, batch_size=config.batch_size, lanes=1)

    def total_steps(self, config: TrainingConfig) -> int:
        """Steps of the whole run, if it is not ended early; every epoch has as many."""
        return config.steps or config.epochs * self.epoch(config, 0).steps


@dataclass(frozen=True)
class OpenEpoch:
    """Steps of an epoch whose first row groups are being read, or were."""

    plan: BatchPlan
    steps: range
    ledger: Ledger
    blocks: Generator[Block, None, None]


@dataclass(frozen=True)
class Feed:
    """How the worker at `world` reads `data`. Its streams use one another's memory; `say` hears of waiting."""

    data: TrainingData
    config: TrainingConfig
    world: World
    say: Callable[[str], None]
    buffers: Buffers = field(default_factory=Buffers)

    def reading(self) -> ReadOptions:
        """How rows are read."""
        own = self.config.stream
        return ReadOptions(own.readers, own.wait_report_s, self.say, own.retries, self.buffers)

    def open(self, epoch: int, first_step: int, left: int) -> OpenEpoch | None:
        """The epoch from `first_step` on, when the run has `left` steps left; reading begins. None without a step."""
        plan, ledger = self.data.epoch(self.config, epoch), Ledger()
        steps = range(first_step, min(plan.steps, first_step + left))
        if not steps:
            return None
        blocks = stream(plan, self.data.columns, self.world, self.reading(), ledger=ledger, first_step=first_step)
        return OpenEpoch(plan, steps, ledger, blocks)

    @contextlib.contextmanager
    def opened(self, start: Path | None) -> Iterator[OpenEpoch | None]:
        """The epoch that the run begins with, or goes on in from the checkpoint at `start`; reading ends with it.

        Raises:
            TrainingError: the checkpoint is damaged.
        """
        history = read_run_state(start).history if start else History()
        first = self.open(history.epoch, history.step, self.data.total_steps(self.config) - history.steps)
        with contextlib.closing(first.blocks) if first else contextlib.nullcontext():
            yield first
