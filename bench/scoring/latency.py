"""How long `predict` of few rows takes, beside the same model in eager PyTorch and torch-rechub's ONNX export."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import camoe
from bench.processes import ROOT, interpreter_of
from bench.scoring import peers
from bench.scoring.percentiles import percentiles
from camoe.contracts.snapshot import logged
from camoe.model.spec import ModelSpec
from camoe.score.frames import read_days
from camoe.score.graph_inputs import GraphInputs, graph_inputs
from camoe.score.scorer import Scorer

SIZES = (1, 10, 100, 1_000)
RECHUB = (
    "rechub",
    [["torch==2.13.0", "torch-rechub==0.9.0", "numpy>=2", "onnx==1.23.2", "onnxscript==0.7.2", "onnxruntime==1.31.1"]],
)


def latency(bundle: Path, table: Path, repeats: int) -> dict[str, dict[str, float]]:
    """Return the percentiles of each system and number of rows."""
    predictor = camoe.load(bundle)
    model, day = predictor.model, max(file.day for file in logged(table).files)
    rows, figures, scorer = read_days(table, [day]), {}, Scorer(predictor.model)
    torch_predict = None if model.spec.features.sequence else peers.eager(str(model.folder))
    for size in SIZES:
        few = rows.slice(0, size).combine_chunks()
        figures[f"camoe predict, {size} rows"] = percentiles(partial(predictor.predict, few), repeats)
        inputs = graph_inputs(few, model.spec)
        graphs = [partial(scorer.run, *part) for part in peers.parts(model.spec, inputs)]
        figures[f"camoe's graphs on arrays, {size} rows"] = percentiles(partial(_each, graphs), repeats)
        if torch_predict is not None:
            given = partial(torch_predict, inputs.categorical, inputs.numeric, inputs.slot)
            figures[f"PyTorch on arrays, {size} rows"] = percentiles(given, repeats)
    inputs = graph_inputs(rows.slice(0, max(SIZES)).combine_chunks(), model.spec)
    found = _rechub(model.spec, inputs, repeats)
    return figures | {f"torch-rechub's ONNX export, {size} rows": of for size, of in found.items()}


def _each(calls: Sequence[Callable[[], object]]) -> None:
    for call in calls:
        call()


def _rechub(spec: ModelSpec, inputs: GraphInputs, repeats: int) -> dict[str, dict[str, float]]:
    """Time an MMoE with the experts' deep networks, embeddings, towers and heads of `spec`, and its categoricals."""
    model: Any = spec.model
    shape = {
        "sizes": spec.vocabulary_sizes[: len(spec.features.categorical_columns)],
        "numerics": len(spec.features.numeric_columns), "dim": model.embedding_dim, "experts": model.experts,
        "expert": model.expert.hidden, "tower": model.tower_hidden, "heads": len(spec.heads.heads), "rows": SIZES,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "shape.json").write_text(json.dumps(shape))
        numeric = np.nan_to_num(inputs.numeric)
        np.savez(Path(folder) / "rows.npz", categorical=inputs.categorical, numeric=numeric)
        command: list[str | Path] = [interpreter_of(*RECHUB), "-m", "bench.scoring.rechub", folder, str(repeats)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"torch-rechub stopped: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found
