"""torch-rechub's MMoE by its own ONNX export: milliseconds of a call, in the environment of its packages.

`python -m bench.scoring.rechub FOLDER REPEATS` reads `rows.npz` and `shape.json` in FOLDER and prints one JSON object.
The weights are those that it begins with: time does not depend on them.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from torch_rechub.basic.features import DenseFeature, SparseFeature
from torch_rechub.models.multi_task import MMOE
from torch_rechub.utils.onnx_export import ONNXExporter

from bench.scoring.percentiles import percentiles


def exported(shape: dict[str, Any], into: Path) -> onnxruntime.InferenceSession:
    """Return the session, of one thread, of a model with as many experts and heads, and as wide, as `shape` says."""
    features = [SparseFeature(f"c{at}", size, shape["dim"]) for at, size in enumerate(shape["sizes"])]
    features += [DenseFeature(f"n{at}") for at in range(shape["numerics"])]
    towers = [{"dims": shape["tower"]}] * shape["heads"]
    model = MMOE(features, ["classification"] * shape["heads"], shape["experts"], {"dims": shape["expert"]}, towers)
    ONNXExporter(model).export(str(into), opset_version=18)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(into), options, providers=["CPUExecutionProvider"])


def main(folder: Path, repeats: int) -> None:
    """Time calls of each size."""
    shape, rows = json.loads((folder / "shape.json").read_text()), np.load(folder / "rows.npz")
    session = exported(shape, folder / "rechub.onnx")
    columns = {f"c{at}": column for at, column in enumerate(rows["categorical"].T)}
    columns |= {f"n{at}": column for at, column in enumerate(rows["numeric"].T)}
    kinds = {
        given.name: (np.int64 if "int" in given.type else np.float32, len(given.shape))
        for given in session.get_inputs()
    }
    found = {}
    for size in shape["rows"]:
        given = {
            name: np.ascontiguousarray(columns[name][:size].astype(kind)).reshape((size,) + (1,) * (rank - 1))
            for name, (kind, rank) in kinds.items()
        }
        (heads,) = session.run(None, given)
        assert heads.shape[0] == size
        found[size] = percentiles(partial(session.run, None, given), repeats)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
