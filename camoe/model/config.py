"""Typed configuration of the model. Torch-free, so that every job can check it."""

from __future__ import annotations

from pydantic import Field

from camoe.contracts.config_file import Section


class ModelConfig(Section):
    """Widths and depths of CAMoE.

    `cross_layers` DCN-v2 cross layers stand beside a deep network of `expert_hidden` units in each expert; a gate
    and a tower of `tower_hidden` units belong to each head.
    """

    embedding_dim: int = Field(default=16, ge=1)
    experts: int = Field(default=4, ge=1)
    cross_layers: int = Field(default=2, ge=1)
    expert_hidden: tuple[int, ...] = Field(default=(64, 32), min_length=1)
    tower_hidden: tuple[int, ...] = (32,)
    dropout: float = Field(default=0.0, ge=0, lt=1)
