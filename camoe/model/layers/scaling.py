"""Scaling of raw numerics to network input. The fitted values are in the model, so that scoring treats them alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn

from camoe.contracts.features import Numeric

CLIP = 5.0
# Knots of a fitted distribution: every 63rd part of the training values.
KNOTS = 64
# Half the largest float32: the difference of two numbers within it is finite.
LARGEST = 1.7e38
# The standard deviation of a uniform share is 1 / sqrt(12).
UNIT_VARIANCE = sqrt(12.0)


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of a numeric after its transform, over the known values; `std` above zero."""

    mean: float
    std: float


@dataclass(frozen=True)
class Knots:
    """A numeric's distribution over the known values: `shares[k]` of them lie below `values[k]`, ties counted half.

    `values` rise strictly; at most `KNOTS` of them, one for a constant, none for a numeric that is always missing.
    """

    values: tuple[float, ...]
    shares: tuple[float, ...]


NumericTransform = Moments | Knots


class NumericScaling(nn.Module):
    """`x -> [clip((t(x) - mean) / std, -5, 5) ..., sqrt(12) (share(x) - 1/2) ..., 1(x missing) ...]`.

    First the standardised numerics, t(x) = sign(x) log(1 + |x|) where declared; then those with knots, `share` linear
    between them and constant beyond; then the declared indicators. A missing value (NaN) stands at 0.

    Args:
        features: the F numerics in the order of the input.
        treatments: fitted on the training days; `Knots` where `quantile` is declared, `Moments` elsewhere.
    """

    standard_columns: Tensor
    quantile_columns: Tensor
    indicated_columns: Tensor
    log: Tensor
    mean: Tensor
    std: Tensor
    knots: Tensor
    shares: Tensor

    def __init__(self, features: Sequence[Numeric], transforms: Sequence[NumericTransform]) -> None:
        super().__init__()
        self.inputs = len(features)
        standard = [(index, one) for index, one in enumerate(transforms) if isinstance(one, Moments)]
        quantile = [(index, one) for index, one in enumerate(transforms) if isinstance(one, Knots)]
        indicated = [index for index, feature in enumerate(features) if feature.missing_indicator]
        self.width = len(standard) + len(quantile) + len(indicated)
        log = [features[index].transform == "log1p" for index, _ in standard]
        self.register_buffer("standard_columns", _indices(index for index, _ in standard), persistent=False)
        self.register_buffer("quantile_columns", _indices(index for index, _ in quantile), persistent=False)
        self.register_buffer("indicated_columns", _indices(indicated), persistent=False)
        self.register_buffer("log", torch.tensor(log, dtype=torch.bool), persistent=False)
        self.register_buffer("mean", torch.tensor([one.mean for _, one in standard], dtype=torch.float32))
        self.register_buffer("std", torch.tensor([one.std for _, one in standard], dtype=torch.float32))
        self.register_buffer("knots", _rows(_padded(one.values, 0.0) for _, one in quantile))
        self.register_buffer("shares", _rows(_padded(one.shares, 0.5) for _, one in quantile))

    def forward(self, numeric: Tensor) -> Tensor:
        """Map `[B, F]` with NaN where missing to `[B, width]`."""
        missing = torch.isnan(numeric)
        known = torch.where(missing, 0.0, numeric)
        parts = []
        if len(self.standard_columns):
            scaled = self._standardised(known[:, self.standard_columns])
            parts.append(torch.where(missing[:, self.standard_columns], 0.0, scaled))
        if len(self.quantile_columns):
            centred = UNIT_VARIANCE * (self._share(known[:, self.quantile_columns]) - 0.5)
            parts.append(torch.where(missing[:, self.quantile_columns], 0.0, centred))
        if len(self.indicated_columns):
            parts.append(missing[:, self.indicated_columns].to(numeric.dtype))
        return torch.cat(parts, dim=1) if parts else numeric

    def _standardised(self, known: Tensor) -> Tensor:
        transformed = torch.where(self.log, torch.sign(known) * torch.log1p(torch.abs(known)), known)
        return torch.clamp((transformed - self.mean) / self.std, -CLIP, CLIP)

    def _share(self, known: Tensor) -> Tensor:
        """Interpolate linearly as a sum over the gaps between knots: no look-up, so any batch size exports."""
        x = torch.clamp(known, -LARGEST, LARGEST).unsqueeze(2)
        low, gap = self.knots[:, :-1], self.knots[:, 1:] - self.knots[:, :-1]
        passed = torch.clamp((x - low) / torch.where(gap > 0, gap, 1.0), 0.0, 1.0)
        return self.shares[:, 0] + (passed * (self.shares[:, 1:] - self.shares[:, :-1])).sum(dim=2)


def _indices(columns: Iterable[int]) -> Tensor:
    return torch.tensor(list(columns), dtype=torch.int64)


def _padded(values: Sequence[float], empty: float) -> list[float]:
    """Pad `values` to the width that every model has by repeating the last: the added gaps have length zero."""
    last = values[-1] if values else empty
    return [*values, *[last] * (KNOTS - len(values))]


def _rows(rows: Iterable[list[float]]) -> Tensor:
    return torch.tensor(list(rows), dtype=torch.float32).reshape(-1, KNOTS)
