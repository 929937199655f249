"""All rows of some days in memory, read through the stream, for systems that do not learn from one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from camoe.config.pipeline import Config
from camoe.contracts.snapshot import Snapshot
from camoe.metrics.histogram import Floats, Ints
from camoe.metrics.user_buckets import user_buckets
from camoe.stream.api import all_rows, model_columns
from camoe.study.states import labels

USER = "user_id"
BATCH = 8192


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


def read_rows(config: Config, snapshot: Snapshot) -> Rows:
    """Read the rows of `snapshot`, with the labels of the first objective.

    Raises:
        StreamError: a row group cannot be read, or not each row came exactly once.
    """
    columns = model_columns(config.model_features, config.heads.objectives[:1], keys=(USER,))
    with contextlib.closing(all_rows(snapshot, columns, BATCH)) as streamed:
        blocks = list(streamed)
    users = np.concatenate([block.keys[0] for block in blocks])
    return Rows(
        categorical=np.concatenate([block.categorical for block in blocks]),
        numeric=np.concatenate([block.numeric for block in blocks]),
        sequences=np.concatenate([block.sequences for block in blocks]),
        label=np.concatenate([labels(block.labels[:, 0]) for block in blocks]),
        slot=np.concatenate([block.slot for block in blocks]).astype(np.int64),
        bucket=user_buckets(users, config.evaluation.user_buckets),
    )
