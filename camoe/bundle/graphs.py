"""One ONNX graph per head: raw features in, probability out, so that scoring needs no torch."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from camoe.bundle.manifest import CATEGORICAL, NUMERIC, PROBABILITY, SEQUENCES
from camoe.model.camoe import Camoe

# Rows of the example that the exporter traces; any number above one, which it would take for a constant.
EXAMPLE_ROWS = 4


class HeadProbability(nn.Module):
    """One head of `model`: `[B, C]` int64, `[B, F]` float32 and, where it has sequences, `[B, S]` int64 to `[B]`."""

    def __init__(self, model: Camoe, head: int) -> None:
        super().__init__()
        self.model = model
        self.head = head

    def forward(self, categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None) -> Tensor:
        """Probabilities `[B]`."""
        return torch.sigmoid(self.model.head_logit(self.head, categorical, numeric, sequences))


def export_head(model: Camoe, head: int, path: Path) -> None:
    """Write head number `head` of `model`, which must be on the CPU, in float32 and in eval mode."""
    examples = {
        CATEGORICAL: torch.zeros(EXAMPLE_ROWS, model.categorical_columns, dtype=torch.int64),
        NUMERIC: torch.zeros(EXAMPLE_ROWS, model.scaling.inputs, dtype=torch.float32),
    }
    if model.sequences.columns:
        examples[SEQUENCES] = torch.zeros(EXAMPLE_ROWS, model.sequences.width, dtype=torch.int64)
    rows = Dim("rows")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)
        warnings.simplefilter("ignore", category=DeprecationWarning)
        program = torch.onnx.export(
            HeadProbability(model, head).eval(),
            tuple(examples.values()),
            input_names=list(examples),
            output_names=[PROBABILITY],
            dynamic_shapes=tuple({0: rows} for _ in examples),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the ONNX exporter returned no program")
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(str(path))
