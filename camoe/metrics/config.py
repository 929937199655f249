"""Typed configuration of calibration and evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from camoe.contracts.config_file import Section


class CalibrationConfig(Section):
    """Calibration of each head on the validation days (Platt, 1999)."""

    min_per_class: int = Field(default=50, ge=1)
    """Rows that each of a head's two labels must have there for it to be calibrated. With n positives the level of the
    predictions is known to about 1 / sqrt(n): 14 % at 50."""


class EvaluationConfig(Section):
    """Metrics of the test days."""

    groups: tuple[Literal["slot", "modality", "head"], ...] = ("slot", "modality", "head")
    """Groups that get metrics."""
    user_buckets: int = Field(default=100, ge=2)
    """Buckets of users that the bootstrap draws from."""
    bootstrap: int = Field(default=200, ge=2)
    """Repeats of the bootstrap."""
    ece_bins: int = Field(default=20, ge=1)
    """Bins of equal mass of the calibration error (ECE)."""
    seed: int = 1
    """Seed of the bootstrap."""
