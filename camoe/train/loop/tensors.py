"""A block of rows as tensors on a worker's device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from camoe.metrics.user_buckets import user_buckets
from camoe.stream.reading.columns import Block


@dataclass(frozen=True)
class Tensors:
    """A block on the device: categorical int32 `[B, C]`, numeric `[B, F]`, labels int64 `[B, O]`, slot int64 `[B]`,
    sequences int32 `[B, S]`, and targets `[B, T]`; `keys` are the block's, where they are."""

    categorical: Tensor
    numeric: Tensor
    sequences: Tensor
    labels: Tensor
    slot: Tensor
    targets: Tensor
    keys: tuple[npt.NDArray[np.generic], ...] = ()

    def of_fold(self, folds: int) -> Tensor:
        """Return the fold `[B]` that the user of each row is dealt to, of so many; the user is the first key."""
        return torch.from_numpy(user_buckets(self.keys[0], folds)).to(self.slot.device)


def to_tensors(block: Block, device: torch.device, dtype: torch.dtype) -> Tensors:
    """Put `block` into tensors on `device`; numerics as `dtype`. On the CPU the wide ones are views of the block."""
    return Tensors(
        categorical=_placed(block.categorical, device, torch.int32),
        numeric=_placed(block.numeric, device, dtype),
        sequences=_placed(block.sequences, device, torch.int32),
        labels=_placed(block.labels, device, torch.int64),
        slot=_placed(block.slot, device, torch.int64),
        targets=_placed(block.targets, device, dtype),
        keys=block.keys,
    )


def _placed(values: npt.NDArray[np.generic], device: torch.device, dtype: torch.dtype) -> Tensor:
    found = torch.from_numpy(values)
    # Torch lets go of the interpreter even for a conversion that does nothing, and waits for reader threads to get it.
    return found if found.device == device and found.dtype == dtype else found.to(device, dtype)
