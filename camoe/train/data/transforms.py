"""Fits each numeric's declared treatment on the training days, over all workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from camoe.contracts.errors import SnapshotError
from camoe.contracts.features import Numeric
from camoe.contracts.snapshot import DataFile, Snapshot
from camoe.contracts.storage import RETRIES, Storage, open_storage, storage_error
from camoe.model.layers.scaling import Moments, NumericTransform
from camoe.train.data.quantiles import fit_knots
from camoe.train.distributed.workers import Workers, sum_over_workers
from camoe.train.supervision.watchdog import Watchdog

Floats = npt.NDArray[np.float32]

# A numeric that never varies gets this deviation, so that it scales to zero.
SMALLEST_STD = 1e-6


def fit_transforms(
    snapshot: Snapshot, features: Sequence[Numeric], workers: Workers, watchdog: Watchdog, retries: int = RETRIES
) -> tuple[NumericTransform, ...]:
    """Fit `Knots` of each numeric with `transform: quantile` and `Moments` of each other one, in order.

    Each worker reads its share of the files: once for the moments, three times the columns that need knots. Each file
    is a sign of progress to `watchdog`.

    Raises:
        SnapshotError: a file cannot be read.
    """
    files = snapshot.files[workers.world.rank :: workers.world.size]
    own = _OwnFiles(open_storage(snapshot.table, retries), files, watchdog)
    standard = [feature for feature in features if feature.transform != "quantile"]
    quantile = [feature for feature in features if feature.transform == "quantile"]
    moments = iter(_fit_moments(own, standard))
    knots = iter(fit_knots(lambda: own.known(quantile), len(quantile), own.add))
    return tuple(next(knots) if feature.transform == "quantile" else next(moments) for feature in features)


@dataclass(frozen=True)
class _OwnFiles:
    """This worker's share of the files."""

    storage: Storage
    files: Sequence[DataFile]
    watchdog: Watchdog

    def known(self, features: Sequence[Numeric]) -> Iterator[list[Floats]]:
        """Yield the known values of each numeric, a file at a time."""
        names = [feature.column for feature in features]
        for file in self.files:
            self.watchdog.alive(f"fitting the numerics' treatments to {file.path}")
            table = _read(self.storage, file.path, names)
            yield [table[name].drop_null().to_numpy().astype(np.float32) for name in names]

    def add(self, values: torch.Tensor, name: str) -> torch.Tensor:
        """Sum all workers' `values`. A worker that has read its files waits for those that read."""
        self.watchdog.beat(f"adding up {name}")
        return sum_over_workers(values, name)


def _fit_moments(own: _OwnFiles, features: Sequence[Numeric]) -> tuple[Moments, ...]:
    sums = np.zeros((3, len(features)))
    for columns in own.known(features):
        for index, (feature, column) in enumerate(zip(features, columns, strict=True)):
            values = column.astype(np.float64)
            if feature.transform == "log1p":
                values = np.sign(values) * np.log1p(np.abs(values))
            sums[:, index] += (len(values), values.sum(), np.square(values).sum())
    count, total, squares = own.add(torch.from_numpy(sums), "moments").numpy()
    mean = total / np.maximum(count, 1)
    variance = np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0)
    std = np.maximum(np.sqrt(variance), SMALLEST_STD)
    return tuple(Moments(float(one), float(other)) for one, other in zip(mean, std, strict=True))


def _read(storage: Storage, path: str, columns: list[str]) -> pa.Table:
    def read() -> pa.Table:
        with storage.parquet(path) as file:
            return file.read(columns=columns)

    try:
        return storage.tried(read, path)
    except (OSError, pa.ArrowException) as error:
        raise SnapshotError(f"{path} cannot be read: {storage_error(error)}") from None
