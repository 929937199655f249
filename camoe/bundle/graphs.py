"""One ONNX graph per head: raw features in, probability out, so that scoring needs no torch."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from camoe.bundle.manifest import CATEGORICAL, NUMERIC, PROBABILITY
from camoe.model.camoe import Camoe

# Rows of the example that the exporter traces; any number above one, which it would take for a constant.
EXAMPLE_ROWS = 4


class HeadProbability(nn.Module):
    """One head of `model`: `[B, C]` int64 and `[B, F]` float32 to probabilities `[B]`."""

    def __init__(self, model: Camoe, head: int) -> None:
        super().__init__()
        self.model = model
        self.head = head

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        """Probabilities `[B]`."""
        return torch.sigmoid(self.model.head_logit(self.head, categorical, numeric))


def export_head(model: Camoe, head: int, path: Path) -> None:
    """Write head number `head` of `model`, which must be on the CPU, in float32 and in eval mode."""
    features = len(model.embedding.sizes), model.scaling.inputs
    example = (
        torch.zeros(EXAMPLE_ROWS, features[0], dtype=torch.int64),
        torch.zeros(EXAMPLE_ROWS, features[1], dtype=torch.float32),
    )
    rows = Dim("rows")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)
        warnings.simplefilter("ignore", category=DeprecationWarning)
        program = torch.onnx.export(
            HeadProbability(model, head).eval(),
            example,
            input_names=[CATEGORICAL, NUMERIC],
            output_names=[PROBABILITY],
            dynamic_shapes=({0: rows}, {0: rows}),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the ONNX exporter returned no program")
    path.parent.mkdir(parents=True, exist_ok=True)
    program.save(str(path))
