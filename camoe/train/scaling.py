"""Fits the numeric scaling on the training days: one pass over the numeric columns, shared by the workers."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import torch

from camoe.contracts.features import FeatureSet
from camoe.contracts.snapshot import Snapshot
from camoe.model.scaling import NumericMoments
from camoe.train.workers import Workers, sum_over_workers

# A numeric that never varies gets this deviation, so that it scales to zero.
SMALLEST_STD = 1e-6


def fit_moments(snapshot: Snapshot, features: FeatureSet, workers: Workers) -> NumericMoments:
    """Mean and standard deviation of each transformed numeric over the known values of all files."""
    sums = np.zeros((3, len(features.numeric)))
    for file in snapshot.files[workers.world.rank :: workers.world.size]:
        table = pq.ParquetFile(file.path).read(columns=list(features.numeric_columns))
        for index, feature in enumerate(features.numeric):
            values = table[feature.column].drop_null().to_numpy().astype(np.float64)
            if feature.transform == "log1p":
                values = np.sign(values) * np.log1p(np.abs(values))
            sums[:, index] += (len(values), values.sum(), np.square(values).sum())
    count, total, squares = sum_over_workers(torch.from_numpy(sums), "moments").numpy()
    mean = total / np.maximum(count, 1)
    variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)
    return NumericMoments(tuple(mean), tuple(np.maximum(np.sqrt(variance), SMALLEST_STD)))
