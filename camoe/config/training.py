"""Typed configuration of training. Torch-free, so that every job can check it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.slots import SafeName
from camoe.stream.config import StreamConfig


class CheckpointConfig(Section):
    """Times of checkpoints: after each epoch, and each `every_steps` steps within one when that is given.

    One is also written after each validation. The newest `keep` stay, and that of the best weights.
    """

    every_steps: int | None = Field(default=None, ge=1)
    keep: int = Field(default=2, ge=1)


class TrackingConfig(Section):
    """An MLflow server or folder, and the experiment under which runs are filed."""

    uri: str
    experiment: str


class TeacherConfig(Section):
    """A teacher's probabilities of an objective: the features' target `column`; null is no teacher for the row.

    The loss of a row that has one is `weight * BCE(y) + (1 - weight) * BCE(teacher)` (Hinton, Vinyals & Dean, 2015, at
    temperature one). `objective` is the first of the heads' by default.
    """

    column: SafeName
    weight: float = Field(default=0.5, ge=0, lt=1)
    objective: SafeName | None = None


class TrainingConfig(Section):
    """One training run. `batch_size` counts the rows of a global batch, over all workers.

    So the number of workers changes neither the gradient nor its scale, and no learning rate is scaled with it:
    whoever changes `batch_size` chooses the learning rate anew.

    With `worker_batch_size` in its place a batch has so many rows for each worker, and `learning_rate_scaling`
    multiplies both rates by the number of workers (`linear`: Goyal et al., 2017) or by its square root (`sqrt`: Malladi
    et al., 2022, for optimisers that divide by the size of gradients). `camoe.train.batch.for_workers` turns the three
    into a `batch_size` and rates before anything else looks at them. A `batch_size` of null is none.

    `precision` is that of the forward pass; `auto` is bf16 where all workers' processors compute it, else fp32.
    `embedding_weight_decay` is that of `embedding_optimiser: adam`, which decays whole tables.

    With `average`, a running mean of the weights is what is validated, kept and served: at step t it takes in the
    share `1 - min(average, (1 + t) / (10 + t))` of the new weights (Polyak & Juditsky, 1992; as in TensorFlow's
    ExponentialMovingAverage). It costs a pass over all weights a step, and their memory once more.

    `clip_norm` bounds the joint L2 norm of all gradients. A head's mean loss above `exploding_loss` times its running
    mean ends training, unless it is still below that of a model that knows nothing, ln 2. `negatives` maps a head to
    the share of its negatives that it learns from; validation sees all.

    Each `watch_every_steps` steps one step's losses and gate weights are taken, by head, for the log and for
    `tensorboard` (under logs/tensorboard) and `tracking`. `warm_start` is a bundle whose weights training starts from.

    All epochs are run, and the best validation's weights kept, unless `patience` says after how many validations
    without a better one training stops: within a cosine the gain may come last, when the rates are small. The best is
    that of the least log loss over all validation rows (`select_by: rows`), or of the least mean NE of the heads by
    their weights (`heads`), in which a head of few rows says as much as one of many. One comes at the end of each
    epoch, and within it after each `validate_every` steps (a whole number), or each such part of the epoch (0.25).

    With `steps`, training ends after so many steps, within an epoch if need be, and `epochs` is not looked at.

    The newest `keep_bundles` bundles stay, that of this run among them.

    With `ensemble`, that many models are trained, one after the other, of the seeds `seed`, `seed + 1`, ...; the bundle
    averages their logits. With `refit`, each is trained anew, from the same beginning, on the training and validation
    days together for as many passes as the validation chose; the calibration is that of the models before.

    `table` is where the training table lies when that is not under `out`: a path, or `s3://bucket/path`.
    """

    table: str | None = None
    batch_size: int = Field(default=2048, ge=1)
    worker_batch_size: int | None = Field(default=None, ge=1)
    learning_rate_scaling: Literal["none", "sqrt", "linear"] = "none"
    epochs: int = Field(default=3, ge=1)
    steps: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    embedding_learning_rate: float = Field(default=0.02, gt=0)
    embedding_optimiser: Literal["adagrad", "rowwise_adagrad", "adam"] = "adagrad"
    weight_decay: float = Field(default=0.01, ge=0)
    embedding_weight_decay: float = Field(default=0.0, ge=0)
    average: float | None = Field(default=None, gt=0, lt=1)
    warmup_steps: int = Field(default=20, ge=0)
    patience: int | None = Field(default=None, ge=1, description="validations without a better one before stopping")
    validate_every: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)] | None = None
    select_by: Literal["rows", "heads"] = "rows"
    seed: int = Field(default=1, ge=0, lt=2**63)
    ensemble: int = Field(default=1, ge=1, le=49)
    refit: bool = False
    dtype: Literal["float32", "float64"] = "float32"
    normalise: Literal["head", "batch", "expected"] = "head"
    mask: bool = True
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    clip_norm: float | None = Field(default=None, gt=0)
    exploding_loss: float = Field(default=50, gt=1)
    negatives: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    teacher: TeacherConfig | None = None
    watch_every_steps: int = Field(default=50, ge=1)
    tensorboard: bool = True
    tracking: TrackingConfig | None = None
    warm_start: Path | None = None
    checkpoint: CheckpointConfig = CheckpointConfig()
    keep_bundles: int = Field(default=3, ge=1)
    stall_timeout_s: int = Field(default=300, ge=1)
    stream: StreamConfig = StreamConfig()

    @model_validator(mode="before")
    @classmethod
    def _without_a_batch_size_of_null(cls, given: Any) -> Any:
        """Leave out a null, by which a command line takes back what its file says."""
        if not isinstance(given, Mapping):
            return given
        return {name: value for name, value in given.items() if name != "batch_size" or value is not None}

    @model_validator(mode="after")
    def _one_batch_size(self) -> TrainingConfig:
        if self.worker_batch_size is not None and "batch_size" in self.model_fields_set:
            raise ValueError(
                "worker_batch_size and batch_size both say how many rows a batch has; leave one out "
                "(training.batch_size=null on the command line)"
            )
        if self.worker_batch_size is None and self.learning_rate_scaling != "none":
            raise ValueError(
                "learning_rate_scaling needs worker_batch_size: a batch_size does not grow with the workers, so there "
                "is nothing for the rates to follow"
            )
        return self

    @model_validator(mode="after")
    def _decay_of_whole_tables(self) -> TrainingConfig:
        if self.embedding_weight_decay and self.embedding_optimiser != "adam":
            raise ValueError(
                f"embedding_weight_decay needs embedding_optimiser adam: {self.embedding_optimiser} moves the rows of "
                "a batch only, and those that never come would not decay"
            )
        return self

    @model_validator(mode="after")
    def _one_precision(self) -> TrainingConfig:
        if self.precision == "bf16" and self.dtype == "float64":
            raise ValueError("precision bf16 needs dtype float32")
        return self

    @model_validator(mode="after")
    def _rows_that_can_be_expected(self) -> TrainingConfig:
        if self.normalise == "expected" and self.negatives:
            raise ValueError(
                "normalise expected takes the rows of a head from the plan, which does not know how many negatives are "
                "left out; use head or batch with negatives"
            )
        return self
