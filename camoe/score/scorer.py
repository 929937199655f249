"""Scores encoded impressions with a bundle's ONNX graphs, each row by its slot's head. Needs no torch, no Spark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa

from camoe.bundle.manifest import CATEGORICAL, ENCODER, NUMERIC, Manifest, graph_name, open_bundle
from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import BundleError
from camoe.contracts.layout import FEATURE_SCHEMA_PROPERTY
from camoe.contracts.snapshot import Snapshot
from camoe.model.spec import ModelSpec

ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True)
class ScoringModel:
    """A bundle's specification and graphs as plain bytes, fit to be sent to other processes."""

    manifest: Manifest
    spec: ModelSpec
    graphs: Mapping[str, bytes]


def read_model(folder: Path) -> ScoringModel:
    """The scoring parts of the bundle at `folder`. Raises `BundleError` as `open_bundle` does."""
    manifest, spec = open_bundle(folder)
    graphs = {head.name: (folder / graph_name(head.name)).read_bytes() for head in spec.heads.heads}
    return ScoringModel(manifest, spec, graphs)


def require_vocabulary(folder: Path, model: ScoringModel, table: Encoder) -> None:
    """Raise `BundleError` unless the `table`'s encoder only appended to the one in the bundle at `folder`."""
    own = encoders.read(folder / ENCODER, model.manifest.encoder_version)
    if not table.continues(own):
        raise BundleError(
            f"model {model.manifest.model_version} was trained with another vocabulary than the table's, "
            "so indices would mean other values; train again on this table"
        )


def require_fit(model: ScoringModel, snapshot: Snapshot) -> None:
    """Raise `BundleError` unless the rows of `snapshot` are made as those that the model was trained on."""
    schema_hash = snapshot.properties.get(FEATURE_SCHEMA_PROPERTY)
    where = f"{snapshot.table} version {snapshot.version}"
    if schema_hash != model.manifest.feature_schema_hash:
        raise BundleError(
            f"model {model.manifest.model_version} was trained on feature schema "
            f"{model.manifest.feature_schema_hash}, {where} has {schema_hash}; train again or score the right table"
        )
    known = {slot.id for slot in model.spec.slots.slots}
    strange = sorted({file.slot for file in snapshot.files} - known)
    if strange:
        raise BundleError(
            f"{where} has impressions of slots that model {model.manifest.model_version} does not know: "
            f"{', '.join(strange)}; train again with the catalogue that has them"
        )


class Scorer:
    """One ONNX session a head."""

    def __init__(self, model: ScoringModel) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._spec = model.spec
        self._sessions = {
            name: onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            for name, graph in model.graphs.items()
        }

    def head_of(self, slot: str, objective: str) -> str | None:
        """Name of the head that scores (slot, objective); None where the objective is not served in that slot."""
        catalogue = self._spec.slots
        head = self._spec.heads.serving_head(catalogue.slots[catalogue.slot_id(slot)], objective)
        return head.name if head is not None else None

    def predict(self, rows: pa.RecordBatch | pa.Table, objective: str) -> npt.NDArray[np.float64]:
        """Probability `[rows]` that `objective` happens, for training-table rows with `slot` and all features.

        NaN for rows of slots in which the objective is not served.
        """
        p = np.full(rows.num_rows, np.nan)
        slots = np.asarray(rows["slot"].to_pylist(), dtype=object)
        categorical = _matrix(rows, self._spec.features.categorical_columns, np.int64)
        numeric = _matrix(rows, self._spec.features.numeric_columns, np.float32)
        heads = {slot: self.head_of(slot, objective) for slot in set(slots.tolist())}
        owners = np.array([heads[slot] for slot in slots], dtype=object)
        for head in {head for head in heads.values() if head is not None}:
            own = owners == head
            (p[own],) = self._sessions[head].run(None, {CATEGORICAL: categorical[own], NUMERIC: numeric[own]})
        return p


def _matrix(rows: pa.RecordBatch | pa.Table, names: tuple[str, ...], dtype: type[ScalarT]) -> npt.NDArray[ScalarT]:
    matrix = np.empty((rows.num_rows, len(names)), dtype=dtype)
    for index, name in enumerate(names):
        matrix[:, index] = np.asarray(rows[name])
    return matrix
