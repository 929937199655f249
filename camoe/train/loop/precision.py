"""The precision of the forward pass."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import torch

from camoe.config.training import TrainingConfig
from camoe.train.distributed.workers import Workers, gather

INSTRUCTIONS = frozenset({"amx_bf16", "avx512_bf16"})
PROCESSOR = Path("/proc/cpuinfo")

Precision = Literal["fp32", "bf16"]


def bf16_instructions(described: Path = PROCESSOR) -> frozenset[str]:
    """List this processor's instructions for bf16; without any it would be emulated, or nothing says what it has."""
    return INSTRUCTIONS & set(described.read_text().split()) if described.exists() else frozenset()


def choose_precision(
    config: TrainingConfig, device: torch.device, instructions: Collection[str]
) -> tuple[Precision, str]:
    """Choose what `auto` computes in where the processor has `instructions`, and say why.

    That bf16 gives the AUC-PR and ECE of fp32 is shown by a test for each kind of model, on processors and on no other
    device.
    """
    if config.dtype == "float64":
        return "fp32", "dtype is float64"
    if device.type != "cpu":
        return "fp32", f"bf16 has not been shown to give equal AUC-PR and ECE on {device.type}"
    if not instructions:
        return "fp32", f"not every worker's processor has one of {', '.join(sorted(INSTRUCTIONS))}"
    return "bf16", f"every worker's processor has {', '.join(sorted(instructions))}"


def with_one_precision(config: TrainingConfig, workers: Workers) -> TrainingConfig:
    """Return `config` with `auto` made one precision, the same for all workers; rank 0 says which and why."""
    if config.precision != "auto":
        return config
    common = frozenset.intersection(*gather(bf16_instructions(), "bf16_instructions"))
    precision, reason = choose_precision(config, workers.device, common)
    if workers.leads:
        print(f"train: training.precision auto computes in {precision}: {reason}", flush=True)
    return config.model_copy(update={"precision": precision})


def autocast(config: TrainingConfig, device: torch.device) -> AbstractContextManager[object]:
    """Run the forward pass of a training step in its precision; weights, loss, gradients and validation stay fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")
