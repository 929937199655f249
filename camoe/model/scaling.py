"""Raw numerics to network input. The fitted values live in the model, so that scoring treats them alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLIP = 5.0


@dataclass(frozen=True)
class NumericMoments:
    """Mean and standard deviation of each numeric after its transform, over the known values; `F` of each."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class NumericScaling(nn.Module):
    """`x -> [clip((t(x) - mean) / std, -5, 5), 1(x missing)]`, with t = sign(x) log(1 + |x|) where declared.

    A missing value (NaN) stands at the mean and sets its indicator.

    Args:
        log: for each of the F numerics, whether it is log-transformed.
        moments: fitted on the training days, after the transform.
    """

    log: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self, log: Sequence[bool], moments: NumericMoments) -> None:
        super().__init__()
        self.register_buffer("log", torch.tensor(log, dtype=torch.bool), persistent=False)
        self.register_buffer("mean", torch.tensor(moments.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(moments.std, dtype=torch.float32))

    def forward(self, numeric: Tensor) -> Tensor:
        """`[B, F]` with NaN where missing to `[B, 2 F]`."""
        missing = torch.isnan(numeric)
        known = torch.where(missing, 0.0, numeric)
        transformed = torch.where(self.log, torch.sign(known) * torch.log1p(torch.abs(known)), known)
        scaled = torch.clamp((transformed - self.mean) / self.std, -CLIP, CLIP)
        filled = torch.where(missing, 0.0, scaled)
        return torch.cat([filled, missing.to(filled.dtype)], dim=1)
