"""Bundles of the small models of `tests.model.specs`, rows for them, and what PyTorch makes of these."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from camoe.bundle.write import Origin, write_bundle
from camoe.contracts.encoder import Encoder
from camoe.contracts.snapshot import Snapshot
from camoe.metrics.platt import Platt
from camoe.model.camoe import Camoe
from camoe.model.ensemble import Model
from camoe.model.spec import ModelSpec
from tests.model.specs import SPEC
from tests.score.pipeline import CALIBRATION, METRICS


def write(folder: Path, model: Model, spec: ModelSpec, calibration: Mapping[str, Platt] = CALIBRATION) -> None:
    """Write the bundle of `model` to `folder`."""
    origin = Origin(Snapshot("/t", 3, (), {}, ()), Encoder(1, {"x": ("a",)}), SPEC)
    write_bundle(folder, model, spec, origin, METRICS, calibration=calibration, keep=1)


def rows_of(number: int) -> pa.Table:
    """Return so many rows, the same for each number."""
    random = np.random.default_rng(number)
    numeric = random.normal(size=(number, 2)).astype(np.float32)
    return pa.table(
        {
            "slot": random.choice(["a", "b", "v"], number),
            "cat_x": random.integers(0, 9, number).astype(np.int32),
            "cat_y": random.integers(0, 12, number).astype(np.int32),
            "num_u": pa.array(numeric[:, 0], mask=random.random(number) < 0.3),
            "num_w": numeric[:, 1],
        }
    )


def by_torch(model: Camoe, rows: pa.Table) -> npt.NDArray[np.float32]:
    """Return the torch model's probabilities, `[rows, heads]`."""
    categorical = torch.from_numpy(np.column_stack([rows["cat_x"], rows["cat_y"]]).astype(np.int64))
    numeric = torch.from_numpy(np.column_stack([rows["num_u"], rows["num_w"]]).astype(np.float32))
    with torch.inference_mode():
        return torch.sigmoid(model.eval()(categorical, numeric)[0]).numpy()
