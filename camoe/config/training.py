"""Typed configuration of training. Torch-free, so that every job can check it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section, TablePlace
from camoe.contracts.places.objects import Folder
from camoe.contracts.slots import SafeName
from camoe.stream.config import StreamConfig


class CheckpointConfig(Section):
    """Checkpoints, from which `--resume` goes on. One is written after each epoch and after each validation."""

    every_steps: int | None = Field(default=None, ge=1)
    """Steps after which one is also written within an epoch; null is none."""
    keep: int = Field(default=2, ge=1)
    """Newest checkpoints that stay, and that of the best weights."""


class TrackingConfig(Section):
    """Tracking of runs with MLflow."""

    uri: str
    """Address of the MLflow server, or a folder."""
    experiment: str
    """Experiment under which runs are filed."""


class FoldConfig(Section):
    """One of several parts that users are dealt to, by a hash of their id."""

    fold: int = Field(ge=0)
    """Number of the part, from 0."""
    of: int = Field(ge=2)
    """Number of parts."""

    @model_validator(mode="after")
    def _one_of_them(self) -> FoldConfig:
        if self.fold >= self.of:
            raise ValueError(f"there is no fold {self.fold} of {self.of}: they are numbered from 0")
        return self


class TeacherConfig(Section):
    """A teacher's probabilities: those of a column, or those that another model gives as training goes on.

    The loss of a row that has one is `weight * BCE(y) + (1 - weight) * BCE(teacher)` (Hinton, Vinyals & Dean, 2015, at
    temperature one).
    """

    column: SafeName | None = None
    """Name of the one of `features.targets` that holds them; null there is no teacher for the row."""
    bundle: Folder | None = None
    """Bundle, or address of one, of the model that gives them, in place of a `column`: of the same features and slots,
    with any heads. It teaches each objective that it serves, by its head of the row's slot, calibrated."""
    bundles: tuple[Folder, ...] = ()
    """Bundles in place of one `bundle`, number k of which was trained with `left_out: {fold: k, of: their number}`:
    each teaches on the rows of the users that it has not seen."""
    weight: float = Field(default=0.5, ge=0, lt=1)
    """Weight of the label's loss; the teacher's is the rest of one."""
    objective: SafeName | None = None
    """Objective of the probabilities of a `column`; null is the first of the heads'."""

    @model_validator(mode="after")
    def _one_teacher(self) -> TeacherConfig:
        if sum((self.column is not None, self.bundle is not None, bool(self.bundles))) != 1:
            raise ValueError("name either the column or the bundle of the teacher, or bundles, one a fold of users")
        if len(self.bundles) == 1:
            raise ValueError("bundles are of two folds of users or more; one that teaches on all rows is the bundle")
        if self.column is None and self.objective is not None:
            raise ValueError("objective is that of a column; a bundle teaches every objective that it serves")
        return self

    @property
    def folders(self) -> tuple[Path, ...]:
        """Bundles of the models that teach; none where a column does."""
        return self.bundles if self.bundle is None else (self.bundle,)


class TrainingConfig(Section):
    """One training run.

    A batch is global: its rows are those of all workers together. So the number of workers changes neither the gradient
    nor its scale, and no learning rate is scaled with it: whoever changes `batch_size` chooses the learning rate anew.
    `camoe.train.batch.for_workers` turns `worker_batch_size` and `learning_rate_scaling` into a `batch_size` and rates
    before anything else looks at them.
    """

    table: TablePlace | None = None
    """Place of the training table where that is not under `out`: a path, or `s3://bucket/path`. Training, scoring and
    evaluation read it there; at an address features are built into it, too."""
    features: tuple[str, ...] | None = None
    """Features that the model reads, by name, in which `*` stands for any letters (`[slot, "user_*"]`), those of the
    history also as `history.*`; null is all. The table keeps the columns of the others, so nothing need be built."""
    without: tuple[str, ...] = ()
    """Features that the model does not read, by name or pattern as in `features`."""
    batch_size: int = Field(default=2048, ge=1)
    """Rows of a global batch, over all workers. A null is none, for where `worker_batch_size` takes its place."""
    worker_batch_size: int | None = Field(default=None, ge=1)
    """Rows of a batch for each worker, in place of `batch_size`."""
    learning_rate_scaling: Literal["none", "sqrt", "linear"] = "none"
    """What multiplies both rates, with `worker_batch_size`: the number of workers (`linear`: Goyal et al., 2017) or its
    square root (`sqrt`: Malladi et al., 2022, for optimisers that divide by the size of gradients)."""
    epochs: int = Field(default=3, ge=1)
    """Passes over the training days. All are run, as within a cosine the gain may come last; the weights of the best
    validation stay."""
    steps: int | None = Field(default=None, ge=1)
    """Steps after which training ends, within an epoch if need be; `epochs` is then not looked at."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of all weights but the embeddings, after the warm-up. Both rates fall to zero along a cosine."""
    embedding_learning_rate: float = Field(default=0.02, gt=0)
    """Learning rate of the embeddings."""
    embedding_optimiser: Literal["adagrad", "rowwise_adagrad", "adam"] = "adagrad"
    """Optimiser of the embeddings."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Weight decay of the matrices beside the embeddings (AdamW); biases go without."""
    embedding_weight_decay: float = Field(default=0.0, ge=0)
    """Weight decay of the embeddings, with `embedding_optimiser: adam` only, which decays whole tables."""
    average: float | None = Field(default=None, gt=0, lt=1)
    """Decay of a running mean of the weights, which is then what is validated, kept and served: at step t it takes in
    the share `1 - min(average, (1 + t) / (10 + t))` of the new weights (Polyak & Juditsky, 1992; as in TensorFlow's
    ExponentialMovingAverage). It costs a pass over all weights a step, and their memory once more. Null is none."""
    warmup_steps: int = Field(default=20, ge=0)
    """Steps in which the rates rise to their full size."""
    validate_every: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)] | None = None
    """Steps (a whole number), or the part of an epoch (0.25), after which there is a validation within the epoch; one
    comes at the end of each epoch in any case."""
    served_experts: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    """Experts that each head keeps when training is over, those of the most weight in its gate on the rows of the
    validation days that it serves: so many (1), or as many as have such a part of it (0.98). The others are left out of
    the head's graph, and the calibration is fitted to what is left. Null keeps all."""
    seed: int = Field(default=1, ge=0, lt=2**63)
    """Seed of the first weights, of the order of rows and of dropout."""
    ensemble: int = Field(default=1, ge=1, le=49)
    """Models to train, one after the other, of the seeds `seed`, `seed + 1`, ...; the bundle averages their logits."""
    refit: bool = False
    """Whether each model is trained anew at the end, from the same beginning, on the training and validation days
    together for as many passes as the validation chose; the calibration is that of the models before."""
    dtype: Literal["float32", "float64"] = "float32"
    """Type of the weights."""
    normalise: Literal["head", "batch", "expected"] = "head"
    """What a head's loss is divided by: its rows in the step over all workers (`head`), all rows of the batch
    (`batch`), or the rows that the plan lets expect for it (`expected`: unbiased for rare heads)."""
    mask: bool = True
    """Whether a head learns only from the impressions that belong to it (adaptive loss masking)."""
    precision: Literal["fp32", "bf16", "auto"] = "fp32"
    """Precision of the forward pass; `auto` is bf16 where all workers' processors compute it, else fp32."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Bound of the joint L2 norm of all gradients; null is none."""
    exploding_loss: float = Field(default=50, gt=1)
    """Multiple of its running mean at which a head's mean loss ends training, unless it is still below that of a model
    that knows nothing, ln 2."""
    negatives: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    """Share of its negatives that a head learns from, by head; validation sees all."""
    teacher: TeacherConfig | None = None
    """Teacher to learn from beside the labels; null is none."""
    left_out: FoldConfig | None = None
    """Users that nothing is learned from, so that the model can teach on their rows (`teacher.bundles`); validation
    sees all. Null is none."""
    watch_every_steps: int = Field(default=50, ge=1)
    """Steps after which one step's losses and gate weights are taken, by head, for the log and for `tensorboard` and
    `tracking`."""
    tensorboard: bool = True
    """Whether figures are written for TensorBoard, under logs/tensorboard in `out`."""
    tracking: TrackingConfig | None = None
    """MLflow server that gets the figures; null is none."""
    warm_start: Folder | None = None
    """Bundle whose weights training starts from, or an address that serves one; null is none."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Checkpoints."""
    keep_bundles: int = Field(default=3, ge=1)
    """Newest bundles that stay, that of this run among them."""
    stall_timeout_s: int = Field(default=300, ge=1)
    """Seconds without progress after which a run is taken for hung and ended."""
    stream: StreamConfig = StreamConfig()
    """How rows reach the workers."""

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
