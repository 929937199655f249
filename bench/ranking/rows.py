"""The rows that all systems learn from and are judged on: those of the training table, read through the stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from camoe.config.pipeline import Config
from camoe.contracts.snapshot import Snapshot, logged, opened
from camoe.stream.api import Block, Ledger, ReadOptions, World, make_plan, model_columns, require_complete, stream
from camoe.train.data.training_inputs import TrainingInputs

USER = "user_id"
BATCH = 8192

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """All rows of some days: `categorical` [N, C], `numeric` [N, F], `sequences` [N, S], `label` [N] (NaN: unknown),
    `slot`, `bucket`."""

    categorical: npt.NDArray[np.int32]
    numeric: npt.NDArray[np.float32]
    sequences: npt.NDArray[np.int32]
    label: Floats
    slot: Ints
    bucket: Ints

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """`[N]`: whether the label is known."""
        return ~np.isnan(self.label)


@dataclass(frozen=True)
class Days:
    """Rows of the training, validation and test days."""

    train: Rows
    validation: Rows
    test: Rows


def read_days(config: Config, inputs: TrainingInputs) -> Days:
    """Read the three parts, with the labels of the first objective."""
    test = config.days.test.days()
    pinned = opened(logged(config.layout.training, inputs.version), test).on(test)
    return Days(*(_read(config, snapshot) for snapshot in (inputs.train, inputs.validation, pinned)))


def _read(config: Config, snapshot: Snapshot) -> Rows:
    plan = make_plan(snapshot, seed=0, epoch=0, batch_size=BATCH, lanes=1)
    columns = model_columns(config.features, config.heads.objectives[:1], keys=(USER,))
    ledger = Ledger()
    blocks = list(stream(plan, columns, World(0, 1), ReadOptions(), ledger=ledger))
    require_complete(plan, ledger.as_array(plan))
    users = np.concatenate([block.keys[0] for block in blocks])
    buckets = np.uint64(config.evaluation.user_buckets)
    return Rows(
        categorical=np.concatenate([block.categorical for block in blocks]),
        numeric=np.concatenate([block.numeric for block in blocks]),
        sequences=np.concatenate([block.sequences for block in blocks]),
        label=np.concatenate([_label(block) for block in blocks]),
        slot=np.concatenate([block.slot for block in blocks]).astype(np.int64),
        bucket=(pd.util.hash_array(users.astype(object)) % buckets).astype(np.int64),
    )


def _label(block: Block) -> Floats:
    own = block.labels[:, 0].astype(np.float64)
    own[own < 0] = np.nan
    return own
