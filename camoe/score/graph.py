"""A head's graph as scoring runs it: with the embedding tables as inputs. Needs no torch, no Spark."""

from __future__ import annotations

import onnx
from onnx import helper

from camoe.bundle.manifest import TABLE


def with_tables_as_inputs(graph_file: bytes) -> bytes:
    """Return a graph of a bundle as it is run: it is handed the tables `[V, D]` at each run instead of reading them.

    A model has one, an ensemble one a member. ONNX Runtime does not copy what it is handed. So one array serves the
    graphs of all heads, also where they came as bytes; as data of the graph it would be copied for each. The file
    itself stays as other runtimes want it.
    """
    model = onnx.load_model_from_string(graph_file)
    graph = model.graph
    for held in [one for one in graph.initializer if one.name.endswith(TABLE)]:
        graph.input.append(helper.make_tensor_value_info(held.name, held.data_type, list(held.dims)))
        graph.initializer.remove(held)
    text: bytes = model.SerializeToString()
    return text
