"""Typed configuration of calibration and evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from camoe.contracts.config_file import Section


class CalibrationConfig(Section):
    """A head is calibrated when each of its two labels has `min_per_class` rows on the validation days.

    With n positives the level of the predictions is known to about 1 / sqrt(n): 14 % at 50.
    """

    min_per_class: int = Field(default=50, ge=1)


class EvaluationConfig(Section):
    """Groups that get metrics, buckets of users for the bootstrap, its repeats, and equal-mass calibration bins."""

    groups: tuple[Literal["slot", "modality", "head"], ...] = ("slot", "modality", "head")
    user_buckets: int = Field(default=100, ge=2)
    bootstrap: int = Field(default=200, ge=2)
    ece_bins: int = Field(default=20, ge=1)
    seed: int = 1
