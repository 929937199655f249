"""Typed configuration of training. Torch-free, so that every job can check it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from camoe.contracts.config_file import Section
from camoe.contracts.storage import RETRIES
from camoe.stream.mixing import Mixing


class StreamConfig(Section):
    """How rows reach the workers.

    Each slot's rows run through `lanes` parallel row groups, so a batch mixes `lanes` row groups of every slot;
    a worker holds its share of the lanes in memory. `readers` is the number of Petastorm reader threads a worker.
    A worker that waits `wait_report_s` seconds for a row group says for which. A read whose connection to an object
    store broke is tried again `retries` times. `mixing` is `proportional`, or shares, for example
    `{by: modality, of: {audio: 0.5, video: 0.5}}`.
    """

    lanes: int = Field(default=4, ge=1)
    readers: int = Field(default=2, ge=1)
    wait_report_s: float = Field(default=30, gt=0)
    retries: int = Field(default=RETRIES, ge=0)
    mixing: Mixing = "proportional"


class TrainingConfig(Section):
    """One training run. `batch_size` counts the rows of a global batch, over all workers.

    `table` is where the training table lies when that is not under `out`: a path, or `s3://bucket/path`.
    """

    table: str | None = None
    batch_size: int = Field(default=2048, ge=1)
    epochs: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    embedding_learning_rate: float = Field(default=0.02, gt=0)
    embedding_optimiser: Literal["adagrad", "rowwise_adagrad", "adam"] = "adagrad"
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    patience: int = Field(default=1, ge=1, description="epochs without a better validation NE before stopping")
    seed: int = 1
    dtype: Literal["float32", "float64"] = "float32"
    normalise: Literal["head", "batch", "expected"] = "head"
    mask: bool = True
    stall_timeout_s: int = Field(default=300, ge=1)
    stream: StreamConfig = StreamConfig()
