"""A head's graph as scoring runs it: with the embedding table as an input. Needs no torch, no Spark."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import helper

from camoe.bundle.manifest import TABLE
from camoe.contracts.errors import BundleError


def read_graph(path: Path) -> bytes:
    """Read the graph at `path`, which is handed the table `[V, D]` at each run instead of reading it.

    ONNX Runtime does not copy what it is handed. So one array serves the graphs of all heads, also where they came as
    bytes; as data of the graph it would be copied for each. The file itself stays as other runtimes want it.

    Raises:
        BundleError: there is no such graph, so the bundle is not of this version.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError:
        raise BundleError(f"{path.parent} has no {path.name}: another version of camoe wrote it; train again") from None
    graph = model.graph
    for held in [one for one in graph.initializer if one.name == TABLE]:
        graph.input.append(helper.make_tensor_value_info(TABLE, held.data_type, list(held.dims)))
        graph.initializer.remove(held)
    text: bytes = model.SerializeToString()
    return text
