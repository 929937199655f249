"""Typed configuration of evaluation."""

from __future__ import annotations

from pydantic import Field

from camoe.contracts.config_file import Section


class EvaluationConfig(Section):
    """Buckets of users for the bootstrap, its repeats, and equal-mass bins of the calibration error."""

    user_buckets: int = Field(default=100, ge=2)
    bootstrap: int = Field(default=200, ge=2)
    ece_bins: int = Field(default=20, ge=1)
    seed: int = 1
