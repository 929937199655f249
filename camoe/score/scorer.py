"""Scores encoded impressions with a bundle's ONNX graphs, each row by its slot's heads. Needs no torch, no Spark."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa

from camoe.bundle.calibration import read_calibration
from camoe.bundle.manifest import (
    CATEGORICAL,
    ENCODER,
    NUMERIC,
    SEQUENCES,
    Manifest,
    graph_name,
    open_bundle,
)
from camoe.bundle.weights import embedding_tables
from camoe.contracts import encoder as encoders
from camoe.contracts.built.columns import how_to_build, lacking
from camoe.contracts.built.definitions import definitions, read_definitions
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import BundleError
from camoe.contracts.features import FeatureSet
from camoe.contracts.runs import RunRecord
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, FEATURES_PROPERTY
from camoe.contracts.snapshot import Snapshot
from camoe.metrics.platt import Platt
from camoe.model.spec import ModelSpec
from camoe.score.graph import with_tables_as_inputs
from camoe.score.graph_inputs import GraphInputs, InputReader

# Columns of the rows that their predictions carry, where the rows have them.
CARRIED = ("impression_id", "request_id", "user_id", "campaign_id", "modality", "slot", "date")
# What a graph is given at once: its intermediate values stay in the processor's cache.
ROWS_AT_ONCE = 8192
UNSERVED = -1


@dataclass(frozen=True)
class ScoringModel:
    """A bundle's folder and specification, each head's graph (see `with_tables_as_inputs`) and calibration.

    With them the embedding tables `[V, D]` that all graphs share, by name: one, of an ensemble one a member; none of
    a model without embeddings, whose graphs do not ask for any. Fit to be sent elsewhere: the tables are mapped there.
    """

    folder: Path
    manifest: Manifest
    spec: ModelSpec
    graphs: Mapping[str, bytes]
    calibration: Mapping[str, Platt]
    tables: Mapping[str, npt.NDArray[np.float32]]


def read_model(folder: Path) -> ScoringModel:
    """Read the scoring parts of the bundle at `folder`. Raises `BundleError` as `open_bundle` does."""
    bundle = open_bundle(folder)
    heads = [head.name for head in bundle.spec.heads.heads]
    graphs = {name: with_tables_as_inputs(bundle.read(graph_name(name))) for name in heads}
    tables = embedding_tables(bundle)
    return ScoringModel(bundle.folder, bundle.manifest, bundle.spec, graphs, read_calibration(bundle), tables)


def require_vocabulary(model: ScoringModel, table: Encoder) -> None:
    """Raise `BundleError` unless the `table`'s encoder only appended to the one in the model's bundle."""
    if not table.continues(own_encoder(model)):
        raise BundleError(
            f"model {model.manifest.model_version} was trained with another vocabulary than the table's, "
            "so indices would mean other values; train again on this table"
        )


def own_encoder(model: ScoringModel) -> Encoder:
    """Return the vocabulary that the model was trained with."""
    return encoders.read(model.folder / ENCODER, model.manifest.encoder_version)


def require_features(model: ScoringModel, features: FeatureSet, where: str) -> None:
    """Raise `BundleError` if `features`, those of `where`, lack one that the model reads, or make it otherwise."""
    _require_definitions(model, definitions(features), where)


def own_features(model: ScoringModel) -> FeatureSet:
    """Return the features of the table that the model was trained on, also those that it leaves out."""
    return FeatureSet(**{name: getattr(model.spec.features, name) for name in FeatureSet.model_fields})


def _require_definitions(model: ScoringModel, there: Mapping[str, str], where: str) -> None:
    other = [name for name, made in read_definitions(model.spec.features).items() if there.get(name) != made]
    if other:
        raise BundleError(
            f"model {model.manifest.model_version} was trained on other features than {where} has "
            f"({', '.join(other)}); train again or score the right table"
        )


def require_fit(model: ScoringModel, snapshot: Snapshot, records: Mapping[date, RunRecord] | None = None) -> None:
    """Raise `BundleError` unless the rows of `snapshot` are made as those that the model was trained on.

    `records` are those of the runs that built its days; without them the table as a whole is looked at.
    """
    where = f"{snapshot.table} version {snapshot.version}"
    if FEATURES_PROPERTY in snapshot.properties and records is not None:
        days = {file.day for file in snapshot.files}
        missing = lacking(records, sorted(days), read_definitions(model.spec.features))
        if missing:
            version = model.manifest.model_version
            raise BundleError(f"{where} lacks features that model {version} reads: {how_to_build(missing)}")
    elif FEATURES_PROPERTY in snapshot.properties:
        _require_definitions(model, json.loads(snapshot.properties[FEATURES_PROPERTY]), where)
    else:
        _require_schema(model, snapshot.properties.get(FEATURE_SCHEMA_PROPERTY), where)
    _require_slots(model, snapshot, where)


def _require_schema(model: ScoringModel, schema_hash: str | None, where: str) -> None:
    if schema_hash != model.manifest.feature_schema_hash:
        raise BundleError(
            f"model {model.manifest.model_version} was trained on feature schema "
            f"{model.manifest.feature_schema_hash}, {where} has {schema_hash}; train again or score the right table"
        )


def _require_slots(model: ScoringModel, snapshot: Snapshot, where: str) -> None:
    known = {slot.id for slot in model.spec.slots.slots}
    strange = sorted({file.slot for file in snapshot.files} - known)
    if strange:
        raise BundleError(
            f"{where} has impressions of slots that model {model.manifest.model_version} does not know: "
            f"{', '.join(strange)}; train again with the catalogue that has them"
        )


def expected_predictions(model: ScoringModel, snapshot: Snapshot) -> int:
    """Count the predictions of `snapshot`: one an impression and objective that is served in its slot."""
    rows: Counter[str] = Counter()
    for file in snapshot.files:
        rows[file.slot] += file.rows
    return expected_of(model, rows)


def expected_of(model: ScoringModel, rows: Mapping[str, int]) -> int:
    """Count the predictions of `rows` by slot."""
    served = {slot.id: len(model.spec.heads.served(slot)) for slot in model.spec.slots.slots}
    return sum(count * served[slot] for slot, count in rows.items())


class Scorer:
    """One ONNX session a head, on one thread."""

    def __init__(self, model: ScoringModel) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._model, self._reader = model, InputReader(model.spec)
        self._names = [head.name for head in model.spec.heads.heads]
        self._heads = pa.array(self._names)
        self._values, self._column = np.array(model.spec.head_indices, dtype=np.int64), model.spec.head_column
        self._owners = {objective: _owners(model.spec, objective) for objective in model.spec.heads.objectives}
        self._sessions = [
            onnxruntime.InferenceSession(model.graphs[name], options, providers=["CPUExecutionProvider"])
            for name in self._names
        ]

    def predict(self, table: pa.Table) -> pa.Table:
        """Return predictions for rows with `slot` and the encoded columns of the training table; see `predict_inputs`.

        Raises:
            ScoringError: as `InputReader.read` does.
            BundleError: as `predict_inputs` does.
        """
        return self.predict_inputs(*self.inputs_of(table))

    def inputs_of(self, table: pa.Table) -> tuple[GraphInputs, pa.Table]:
        """Return the inputs of such rows, and the columns that name them. Raises as `predict` does."""
        there = frozenset(table.column_names)
        return self._reader.read(table), table.select([name for name in CARRIED if name in there])

    @property
    def spec(self) -> ModelSpec:
        """The model's specification."""
        return self._model.spec

    def predict_inputs(self, inputs: GraphInputs, carried: pa.Table) -> pa.Table:
        """Return one row an objective and an impression whose slot it is served in; objective by objective, in order.

        The columns are those of `carried`, which has a row an impression, and `objective`, `head`, `p_raw` (of the
        head's graph), `p` (calibrated) and `model_version`.

        Raises:
            BundleError: the model gives no number for a row.
        """
        return pa.concat_tables(self._predict(objective, inputs, carried) for objective in self._owners)

    def _predict(self, objective: str, inputs: GraphInputs, carried: pa.Table) -> pa.Table:
        owner = self._owners[objective][self._cells(inputs)]
        p_raw, p = np.empty(len(owner)), np.empty(len(owner))
        for head in set(owner.tolist()) - {UNSERVED}:
            own = np.flatnonzero(owner == head)
            p_raw[own] = self.run(head, inputs, own)
            self._require_numbers(head, p_raw[own])
            p[own] = self._model.calibration[self._names[head]].calibrated(p_raw[own])
        served = np.flatnonzero(owner != UNSERVED)
        chosen = carried if len(served) == len(owner) else carried.take(served)
        columns = {
            "objective": pa.repeat(objective, len(served)),
            "head": self._heads.take(pa.array(owner[served])),
            "p_raw": pa.array(p_raw[served]),
            "p": pa.array(p[served]),
            "model_version": pa.repeat(self._model.manifest.model_version, len(served)),
        }
        arrays, names = [*chosen.columns, *columns.values()], [*chosen.column_names, *columns]
        return pa.Table.from_arrays(arrays, names=names, metadata=chosen.schema.metadata)

    def _require_numbers(self, head: int, p_raw: npt.NDArray[np.float64]) -> None:
        lost = int(np.count_nonzero(~np.isfinite(p_raw)))
        if lost:
            raise BundleError(
                f"model {self._model.manifest.model_version}, head {self._names[head]}: no number for {lost:,} of "
                f"{len(p_raw):,} impressions, so its weights are not finite; train again or use an earlier bundle"
            )

    def _cells(self, inputs: GraphInputs) -> npt.NDArray[np.int64]:
        """Number, by row, its slot and which of the heads' values it has, as `HeadSet.membership` does."""
        if not len(self._values):
            return inputs.slot
        has = inputs.categorical[:, self._column, np.newaxis] == self._values
        case = (has * np.arange(1, len(self._values) + 1)).sum(axis=1)
        cells: npt.NDArray[np.int64] = inputs.slot * (len(self._values) + 1) + case
        return cells

    def run(self, head: int, inputs: GraphInputs, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return what the graph of the `head` of that number gives for `rows` of the inputs, without calibration."""
        p = np.empty(len(rows))
        for first in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[first : first + ROWS_AT_ONCE]
            given = {CATEGORICAL: inputs.categorical[part], NUMERIC: inputs.numeric[part], **self._model.tables}
            if self._model.spec.features.sequences:
                given[SEQUENCES] = inputs.sequences[part]
            (p[first : first + ROWS_AT_ONCE],) = self._sessions[head].run(None, given)
        return p


def _owners(spec: ModelSpec, objective: str) -> npt.NDArray[np.int64]:
    """Return, by cell, the number of the head that scores `objective` there, or `UNSERVED`."""
    heads = [spec.heads.serving_head(slot, objective, case) for slot in spec.slots.slots for case in spec.heads.cases]
    return np.array([UNSERVED if head is None else spec.heads.heads.index(head) for head in heads], dtype=np.int64)
