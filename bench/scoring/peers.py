"""The same predictions by our means and others of Spark: torch in a batch UDF, over pandas, and TorchScript over Arrow.

All score a row with the head of its slot alone, as this project does, on one thread a Python worker, which reads
the model once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.types import from_arrow_schema

from camoe.bundle.calibration import read_calibration
from camoe.bundle.manifest import open_bundle
from camoe.bundle.model import read_module
from camoe.contracts.snapshot import Snapshot
from camoe.metrics.platt import Platt
from camoe.model.spec import ModelSpec
from camoe.score.graph_inputs import GraphInputs
from camoe.score.predictions import columns_of
from camoe.score.scorer import Scorer, ScoringModel
from camoe.score.spark import ROWS_PER_FILE
from camoe.stream.frame import shared_out, worked_frame

ROWS_AT_ONCE = 8192
JIT: Any = torch.jit  # It has no types of its own.
Floats = npt.NDArray[np.float64]
# Calibrated probabilities of categorical indices, numerics and slot ids.
Predict = Callable[[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64]], Floats]


def owners(spec: ModelSpec) -> npt.NDArray[np.int64]:
    """Return the number of the head that serves each slot. Raises `ValueError` where a peer could not say it so."""
    if spec.heads.column is not None or len(spec.heads.objectives) > 1:
        raise ValueError("the benchmark scores models of one objective, whose heads select by slot")
    (objective,), (case,) = spec.heads.objectives, spec.heads.cases
    heads = [spec.heads.serving_head(slot, objective, case) for slot in spec.slots.slots]
    return np.array([spec.heads.heads.index(head) for head in heads if head is not None])


def parts(spec: ModelSpec, inputs: GraphInputs) -> list[tuple[int, GraphInputs, Any]]:
    """Return each head that serves some of the rows, with the inputs of these and their numbers."""
    owner = owners(spec)[inputs.slot]
    shares = [(head, np.flatnonzero(owner == head)) for head in range(len(spec.heads.heads))]
    return [(head, _of(inputs, own), np.arange(len(own))) for head, own in shares if len(own)]


def _of(inputs: GraphInputs, own: Any) -> GraphInputs:
    return GraphInputs(inputs.slot[own], inputs.categorical[own], inputs.numeric[own], inputs.sequences[own])


@cache
def eager(folder: str) -> Predict:
    """Return the model of the bundle at `folder` in eager PyTorch."""
    torch.set_num_threads(1)
    bundle = open_bundle(Path(folder))
    model, spec = read_module(bundle), bundle.spec

    def logits(head: int, categorical: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        return model.head_logits([head], categorical, numeric)[0]

    return _by_head(spec, read_calibration(bundle), logits)


@cache
def scripted(folder: str, traced: str) -> Predict:
    """Return the same by the TorchScript of each head in the folder `traced`."""
    torch.set_num_threads(1)
    bundle = open_bundle(Path(folder))
    heads = [JIT.load(Path(traced) / f"{head.name}.pt") for head in bundle.spec.heads.heads]

    def logits(head: int, categorical: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = heads[head](categorical, numeric)
        return found

    return _by_head(bundle.spec, read_calibration(bundle), logits)


class _Head(torch.nn.Module):
    def __init__(self, model: Any, head: int) -> None:
        super().__init__()
        self.model, self.head = model, head

    def forward(self, categorical: torch.Tensor, numeric: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.model.head_logits([self.head], categorical, numeric)[0]
        return found


def trace(folder: Path, into: Path) -> None:
    """Write the TorchScript of each head of the bundle at `folder`."""
    bundle = open_bundle(folder)
    model, features = read_module(bundle), bundle.spec.features
    example = (
        torch.zeros(4, len(features.categorical_columns), dtype=torch.int64),
        torch.zeros(4, len(features.numeric_columns)),
    )
    into.mkdir(parents=True, exist_ok=True)
    for number, head in enumerate(bundle.spec.heads.heads):
        made = JIT.trace(_Head(model, number).eval(), example)
        JIT.freeze(made).save(into / f"{head.name}.pt")


def _by_head(spec: ModelSpec, calibration: dict[str, Platt], logits: Callable[..., torch.Tensor]) -> Predict:
    owner, platt = owners(spec), [calibration[head.name] for head in spec.heads.heads]

    def predict(
        categorical: npt.NDArray[np.int64], numeric: npt.NDArray[np.float32], slot: npt.NDArray[np.int64]
    ) -> Floats:
        found, head_of = np.empty(len(slot)), owner[slot]
        for head in set(head_of.tolist()):
            own = np.flatnonzero(head_of == head)
            with torch.inference_mode():
                given = torch.from_numpy(categorical[own]), torch.from_numpy(numeric[own])
                found[own] = platt[head].calibrated(torch.sigmoid(logits(head, *given)).numpy())
        return found

    return predict


def ours(spark: SparkSession, snapshot: Snapshot, model: ScoringModel) -> DataFrame:
    """Return keys and `p` as this project's job makes them, but for the writing."""
    shared = spark.sparkContext.broadcast(model)
    ids = columns_of(snapshot, KEYS)

    def score(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
        scorer = Scorer(shared.value)
        for rows in tables:
            yield from scorer.predict(rows).select([*KEYS, "p"]).combine_chunks().to_batches()

    reads = columns_of(snapshot, (*KEYS, *model.spec.features.columns))
    share = -(-snapshot.rows // spark.sparkContext.defaultParallelism)
    tasks = shared_out(snapshot.files, min(ROWS_PER_FILE, share))
    gives = T.StructType([*from_arrow_schema(ids).fields, T.StructField("p", T.DoubleType())])
    return worked_frame(spark, tasks, reads, score, gives)


def in_batch_udf(rows: DataFrame, spec: ModelSpec, folder: Path) -> DataFrame:
    """Add `p` by `predict_batch_udf` with eager PyTorch."""
    names, numbers, where = spec.features.categorical_columns, spec.features.numeric_columns, str(folder)

    def make() -> Callable[..., Floats]:
        predict = eager(where)

        def of(categorical: Any, numeric: Any, slot: Any) -> Floats:
            given = categorical.astype(np.int64), numeric.astype(np.float32), slot.astype(np.int64)
            return predict(*given)

        return of

    shapes = [[len(names)], [len(numbers)], None]
    udf = predict_batch_udf(make, return_type=T.DoubleType(), batch_size=ROWS_AT_ONCE, input_tensor_shapes=shapes)
    numeric = [F.coalesce(F.col(name).cast("float"), F.lit(float("nan")).cast("float")) for name in numbers]
    return rows.withColumn("p", udf(F.array(*names), F.array(*numeric), F.col("slot_id")))


def in_pandas(rows: DataFrame, spec: ModelSpec, folder: Path) -> DataFrame:
    """Return keys and `p` by `mapInPandas` with eager PyTorch."""
    names, numbers, where = list(spec.features.categorical_columns), list(spec.features.numeric_columns), str(folder)

    def score(frames: Iterable[Any]) -> Iterator[Any]:
        predict = eager(where)
        for frame in frames:
            numeric, slot = frame[numbers].to_numpy(np.float32), frame["slot_id"].to_numpy(np.int64)
            yield frame[KEYS].assign(p=predict(frame[names].to_numpy(np.int64), numeric, slot))

    return rows.mapInPandas(score, _output(rows))


def in_arrow(rows: DataFrame, spec: ModelSpec, folder: Path, traced: Path) -> DataFrame:
    """Return keys and `p` by `mapInArrow` with TorchScript."""
    names, numbers, where = spec.features.categorical_columns, spec.features.numeric_columns, (str(folder), str(traced))

    def score(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        predict = scripted(*where)
        for batch in batches:
            categorical = np.column_stack([batch[name].to_numpy() for name in names]).astype(np.int64)
            columns = [batch[name].to_numpy(zero_copy_only=False) for name in numbers]
            slot = batch["slot_id"].to_numpy().astype(np.int64)
            p = predict(categorical, np.column_stack(columns).astype(np.float32), slot)
            yield pa.RecordBatch.from_arrays([*(batch[name] for name in KEYS), pa.array(p)], [*KEYS, "p"])

    return rows.mapInArrow(score, _output(rows))


KEYS = ["impression_id", "user_id", "campaign_id", "modality", "slot", "date"]


def _output(rows: DataFrame) -> T.StructType:
    return T.StructType([*(rows.schema[name] for name in KEYS), T.StructField("p", T.DoubleType())])
