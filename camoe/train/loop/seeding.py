"""Randomness that depends on the place in training only, so that a continued run draws what the whole one draws."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

# What a draw is for: the same place gives other numbers for another purpose.
_DROPOUT, _ROWS = 0, 1


def seed_step(seed: int, epoch: int, step: int, rank: int) -> None:
    """Set torch's generators (dropout) to what (seed, epoch, step, rank) says."""
    key = np.random.SeedSequence((seed, epoch, step, rank, _DROPOUT)).generate_state(1, np.uint64)
    torch.manual_seed(int(key[0]))


def draw_rows(seed: int, epoch: int, step: int, rows: int) -> npt.NDArray[np.float32]:
    """Draw a number in [0, 1) for each row of a global batch, the same for any number of workers: `[rows]`."""
    return np.random.Generator(np.random.PCG64([seed, epoch, step, _ROWS])).random(rows, dtype=np.float32)
