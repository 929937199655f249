"""One ONNX graph per head: raw features in, probability out, so that scoring needs no torch.

The embedding table, which may be gigabytes, is in none of them: each names its place in the weights' file, as ONNX's
external data; of an ensemble each member's. So it lies on disk once, and no graph comes near the 2 GiB that a protobuf
message can hold.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from onnxscript import ir
from torch import Tensor, nn
from torch.export import Dim

from camoe.bundle.manifest import CATEGORICAL, NUMERIC, PROBABILITY, SEQUENCES
from camoe.bundle.weights import TensorPlace, table_places
from camoe.model.ensemble import Model

# Rows of the example that the exporter traces; any number above one, which it would take for a constant.
EXAMPLE_ROWS = 4
# Several take little longer than one; all of them might be silent for too long.
HEADS_AT_ONCE = 8


class HeadProbabilities(nn.Module):
    """All heads of `model`: indices, raw numerics and, where it has them, sequences to a probability `[B]` each."""

    def __init__(self, model: Model, heads: Sequence[int]) -> None:
        super().__init__()
        self.model = model
        self.heads = heads

    def forward(self, categorical: Tensor, numeric: Tensor, sequences: Tensor | None = None) -> tuple[Tensor, ...]:
        """Return the probabilities of each head, `[B]`."""
        return tuple(map(torch.sigmoid, self.model.head_logits(self.heads, categorical, numeric, sequences)))


def export_heads(model: Model, paths: Sequence[Path], weights: Path, alive: Callable[[str], object]) -> None:
    """Write the heads of `model`, which must be on the CPU, in float32 and in eval mode, in order to `paths`.

    `weights` is the safetensors file that the model's weights were written to; it must lie, and stay, beside them.
    `alive` is told which heads come next.
    """
    numbered = list(enumerate(paths))
    for first in range(0, len(paths), HEADS_AT_ONCE):
        some = dict(numbered[first : first + HEADS_AT_ONCE])
        alive(f"writing the graphs of heads {first + 1} to {first + len(some)} of {len(paths)}")
        _export(model, some, weights)


def _export(model: Model, paths: Mapping[int, Path], weights: Path) -> None:
    traced = _traced(model, tuple(paths))
    # Which line of which folder made a node: the same model would have other graphs elsewhere.
    ClearMetadataAndDocStringPass()(traced)
    with weights.open("rb") as file:
        places = table_places(file)
    for name, place in places.items():
        table = traced.graph.initializers[f"model.{name}"]
        table.const_value, table.name = _placed(weights, name, place), name
    for output, path in zip(traced.graph.outputs, paths.values(), strict=True):
        # What this head alone needs.
        graph = ir.convenience.extract(traced.graph, traced.graph.inputs, [output])
        graph.outputs[0].name = PROBABILITY
        # They come in another order each time; the same model has the same file.
        held = sorted(graph.initializers.items())
        graph.initializers.clear()
        graph.initializers.update(held)
        ir.save(ir.Model(graph, ir_version=traced.ir_version, producer_name=traced.producer_name), path)


def _traced(model: Model, heads: Sequence[int]) -> ir.Model:
    one = model.members[0]
    examples = {
        CATEGORICAL: torch.zeros(EXAMPLE_ROWS, one.categorical_columns, dtype=torch.int64),
        NUMERIC: torch.zeros(EXAMPLE_ROWS, one.numeric_columns, dtype=torch.float32),
    }
    if one.sequences.columns:
        examples[SEQUENCES] = torch.zeros(EXAMPLE_ROWS, one.sequences.width, dtype=torch.int64)
    rows = Dim("rows")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)
        warnings.simplefilter("ignore", category=DeprecationWarning)
        program = torch.onnx.export(
            HeadProbabilities(model, heads).eval(),
            tuple(examples.values()),
            input_names=list(examples),
            output_names=[f"{PROBABILITY}_{head}" for head in heads],
            dynamic_shapes=tuple({0: rows} for _ in examples),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the ONNX exporter returned no program")
    return program.model


def _placed(weights: Path, name: str, place: TensorPlace) -> ir.ExternalTensor:
    """Return the float32 tensor `name` of a safetensors file, as data beside a graph: nothing of it is read."""
    return ir.ExternalTensor(
        weights.name, place.begin, place.length, ir.DataType.FLOAT, shape=ir.Shape(place.shape), name=name
    )
