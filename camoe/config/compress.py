"""Typed configuration of jobs/compress.py. Torch-free."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from camoe.config.model import ModelConfig, Share
from camoe.contracts.config_file import Section
from camoe.contracts.slots import SafeName


class TuningConfig(Section):
    """The short training of what is left of a model."""

    epochs: int = Field(default=1, ge=0)
    """Passes over the training days; with 0 there is none."""
    rate: float = Field(default=0.3, gt=0)
    """Factor of both learning rates of `training`."""


class CompressConfig(Section):
    """What makes a model cheaper: first a smaller student, then what is cut from it, then a short training."""

    student: ModelConfig | None = None
    """Architecture that learns from the source bundle; null cuts the source itself, which has to be a single model."""
    label_weight: Share = 0.5
    """Weight of the label in the loss of what is trained; the rest of one is that of the teacher."""
    teacher_column: SafeName | None = None
    """One of `features.targets`, in place of the source bundle, that has the teacher's probabilities, as of trees."""
    folds: int = Field(default=0, ge=0)
    """Teachers that are trained anew as the source was, each without one of so many folds of users, on whose rows it
    teaches; with 0 the source itself teaches, also on the rows that it has learned from."""
    experts: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)] | None = None
    """Experts that each head keeps, those that contribute most (its gate's weight times the size of their output): so
    many (1), or as many as have such a part of all (0.95); null keeps all."""
    alike: float = Field(default=1.0, gt=0, le=1)
    """Correlation of two experts' outputs from which on a head keeps the larger one; with 1 none goes for that."""
    embedding_dim: int | None = Field(default=None, ge=1)
    """Columns of embeddings that stay, of each table those that matter most; null keeps all."""
    min_rows: int = Field(default=0, ge=0)
    """Rows of the training days that a value needs to keep an embedding of its own; rarer ones read as unknown."""
    tune: TuningConfig = TuningConfig()
    """Short training after anything was cut."""

    @model_validator(mode="after")
    def _consistent(self) -> CompressConfig:
        if self.folds == 1:
            raise ValueError("with one fold a teacher would have no users to learn from; give 2 or more, or 0")
        if self.folds and self.teacher_column is not None:
            raise ValueError("folds are of teachers that are trained here; a column's have to be out of fold already")
        return self

    @property
    def cuts(self) -> bool:
        """True when anything is cut."""
        return self.experts is not None or self.alike < 1 or self.embedding_dim is not None or self.min_rows > 0
