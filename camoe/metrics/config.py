"""Typed configuration of evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from camoe.contracts.config_file import Section


class EvaluationConfig(Section):
    """Groups that get metrics, buckets of users for the bootstrap, its repeats, and equal-mass calibration bins."""

    groups: tuple[Literal["slot", "modality", "head"], ...] = ("slot", "modality")
    user_buckets: int = Field(default=100, ge=2)
    bootstrap: int = Field(default=200, ge=2)
    ece_bins: int = Field(default=20, ge=1)
    seed: int = 1
