"""Learning from a sample of the negatives, with the model's probabilities those of all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from camoe.contracts.errors import ConfigError
from camoe.contracts.heads import HeadSet


@dataclass(frozen=True)
class NegativeSampling:
    """Head h keeps a negative with probability `rate[h]`, float64 `[H]`.

    In the sample the odds of a click are 1/w times those among all rows, w being the rate. So the loss is taken at
    `z - ln w`, and z is the logit among all rows: sigmoid(z) = p / (p + (1 - p) / w) for p = sigmoid(z - ln w), the
    correction of He et al. (ADKDD 2014). The model holds it, and whatever scores with it needs none.
    """

    rate: Tensor

    def kept(self, label: Tensor, mask: Tensor, draw: Tensor) -> Tensor:
        """Return the part of `mask` to learn from: all positives, and negatives whose `draw` lies below the rate.

        Args:
            label, mask: `[B, H]`.
            draw: `[B]`, uniform in [0, 1); one number a row, so that the heads of a row choose alike.
        """
        return mask & ((label > 0) | (draw.unsqueeze(1) < self.rate))

    def among_kept(self, logits: Tensor) -> Tensor:
        """Turn logits `[B, H]` among all rows into logits among the kept ones."""
        return logits - self.rate.log().to(logits.dtype)


def make_sampling(heads: HeadSet, rates: Mapping[str, float], device: torch.device) -> NegativeSampling:
    """Make the sampling of `rates` by head name; a head without one keeps all.

    Raises:
        ConfigError: there is no such head.
    """
    names = [head.name for head in heads.heads]
    unknown = sorted(set(rates) - set(names))
    if unknown:
        raise ConfigError(f"training.negatives names {', '.join(unknown)}; the heads are {', '.join(names)}")
    rate = torch.tensor([rates.get(name, 1.0) for name in names], dtype=torch.float64)
    return NegativeSampling(rate.to(device))
