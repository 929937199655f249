"""In which precision the forward pass computes."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from camoe.train.config import TrainingConfig

AUTO = "training.precision auto computes in fp32: bf16 has not been shown to give equal AUC-PR and ECE"


def autocast(config: TrainingConfig, device: torch.device) -> AbstractContextManager[object]:
    """What the forward pass of a training step runs in; weights, loss, gradients and validation stay in fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")
