"""The rows of a run, and its epochs, opened before their turn so that their first row groups are there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from camoe.config.training import TrainingConfig
from camoe.contracts.snapshot import Snapshot
from camoe.stream.ledger import Ledger
from camoe.stream.planning.plan import BatchPlan, make_plan
from camoe.stream.planning.world import World
from camoe.stream.reading.buffers import Buffers
from camoe.stream.reading.columns import Block, Columns
from camoe.stream.stream import ReadOptions, stream
from camoe.train.checkpoint.history import History


@dataclass(frozen=True)
class TrainingData:
    """Rows to train on, and rows to validate on where there are some.

    With `until` training ends after so many steps, before its schedule does.
    """

    train: Snapshot
    validation: Snapshot | None
    columns: Columns
    until: int | None = None

    def epoch(self, config: TrainingConfig, epoch: int) -> BatchPlan:
        """Plan one training epoch."""
        return make_plan(
            self.train,
            seed=config.seed,
            epoch=epoch,
            batch_size=config.batch_size,
            lanes=config.stream.lanes,
            mixing=config.stream.mixing,
        )

    def check(self, config: TrainingConfig) -> BatchPlan | None:
        """Plan the validation rows."""
        if self.validation is None:
            return None
        return make_plan(self.validation, seed=config.seed, epoch=0, batch_size=config.batch_size, lanes=1)

    def scheduled_steps(self, config: TrainingConfig) -> int:
        """Count the steps of the whole schedule; every epoch has as many."""
        return config.steps or config.epochs * self.epoch(config, 0).steps

    def total_steps(self, config: TrainingConfig) -> int:
        """Count the steps of the whole run."""
        return self.until or self.scheduled_steps(config)


@dataclass(frozen=True)
class OpenEpoch:
    """Steps of an epoch whose first row groups are being read, or were."""

    plan: BatchPlan
    steps: range
    ledger: Ledger
    blocks: Generator[Block, None, None]


@dataclass(frozen=True)
class Feed:
    """The reading of `data` by the worker at `world`. Its streams use one another's memory; `say` hears of waiting."""

    data: TrainingData
    config: TrainingConfig
    world: World
    say: Callable[[str], None]
    buffers: Buffers = field(default_factory=Buffers)

    def reading(self) -> ReadOptions:
        """Return the options by which rows are read."""
        own = self.config.stream
        return ReadOptions(own.readers, own.wait_report_s, self.say, own.retries, self.buffers)

    def open(self, epoch: int, first_step: int, left: int) -> OpenEpoch | None:
        """Open the epoch from `first_step` on, of a run with `left` steps left; reading begins. None without a step."""
        plan, ledger = self.data.epoch(self.config, epoch), Ledger()
        steps = range(first_step, min(plan.steps, first_step + left))
        if not steps:
            return None
        blocks = stream(plan, self.data.columns, self.world, self.reading(), ledger=ledger, first_step=first_step)
        return OpenEpoch(plan, steps, ledger, blocks)

    @contextlib.contextmanager
    def opened(self, history: History) -> Iterator[OpenEpoch | None]:
        """Open the epoch in which a run of `history` goes on; reading ends with the block."""
        first = self.open(history.epoch, history.step, self.data.total_steps(self.config) - history.steps)
        with contextlib.closing(first.blocks) if first else contextlib.nullcontext():
            yield first
