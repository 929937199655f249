"""Impressions and versions as parquet, with the traps that real logs hold, and the cases that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Array = npt.NDArray[Any]

DAYS = 30
START = 1_767_225_600 * 1_000_000  # 2026-01-01, in microseconds
SPAN = DAYS * 86_400 * 1_000_000
FILES = 8
# Shares of rows that are odd: impressions without a user, versions that share user and time, empty feature values.
WITHOUT_USER = 0.002
TIES = 0.01
EMPTY = 0.05


@dataclass(frozen=True)
class Case:
    """Rows of both sides, users, feature columns, and the share of all rows that one user has."""

    impressions: int
    versions: int
    users: int
    features: int
    hot: float = 0.0

    def scaled(self, scale: float) -> Case:
        """Return the same case with fewer rows and users."""
        impressions, versions, users = (
            max(100, round(count * scale)) for count in (self.impressions, self.versions, self.users)
        )
        return Case(impressions, versions, users, self.features, self.hot)


CASES = {
    "plain": Case(2_000_000, 1_000_000, 100_000, 20),
    "hot": Case(2_000_000, 1_000_000, 100_000, 20, hot=0.2),
    "wide": Case(300_000, 150_000, 30_000, 120),
}


def write(case: Case, folder: Path, seed: int = 1) -> None:
    """Write `folder/impressions` and `folder/versions`."""
    draw = np.random.default_rng(seed)
    users = _users(case, case.impressions, draw)
    absent = draw.random(case.impressions) < WITHOUT_USER
    impressions = pa.table(
        {
            "impression_id": pa.array(np.arange(case.impressions)),
            "user_id": pa.array(_names(users), mask=absent),
            "ts": _times(START + draw.integers(0, SPAN, case.impressions)),
            "campaign_id": pa.array(draw.integers(0, 5_000, case.impressions)),
            "slot": pa.array(draw.choice(["feed", "break", "home", "search"], case.impressions)),
        }
    )
    begun = START - SPAN // 10 + draw.integers(0, SPAN + SPAN // 10, case.versions)
    owners = _users(case, case.versions, draw)
    tied = np.flatnonzero(draw.random(case.versions) < TIES)[1:]
    begun[tied], owners[tied] = begun[tied - 1], owners[tied - 1]
    columns = {"user_id": pa.array(_names(owners)), "ts": _times(begun), "begun": pa.array(begun)}
    versions = pa.table({**columns, **_features(case, draw)})
    for name, table in (("impressions", impressions), ("versions", versions)):
        _write(table, folder / name)


def feature_names(case: Case) -> list[str]:
    """Return the feature columns; `begun` comes first and tells which version was joined."""
    return ["begun", *[f"f{index}" for index in range(case.features)]]


def _features(case: Case, draw: np.random.Generator) -> dict[str, pa.Array]:
    return {f"f{index}": _feature(index, case.versions, draw) for index in range(case.features)}


def _feature(index: int, rows: int, draw: np.random.Generator) -> pa.Array:
    empty = draw.random(rows) < EMPTY
    if index % 5 == 0:
        return pa.array(np.char.add("value_", draw.integers(0, 500, rows).astype(str)), mask=empty)
    if index % 5 == 1:
        return pa.array(draw.integers(0, 1_000_000, rows), mask=empty)
    return pa.array(draw.random(rows), mask=empty)


def _users(case: Case, rows: int, draw: np.random.Generator) -> Array:
    users = draw.integers(1, case.users, rows)
    users[draw.random(rows) < case.hot] = 0
    return users


def _names(users: Array) -> Array:
    return np.char.add("user_", np.char.zfill(users.astype(str), 7))


def _times(micros: Array) -> pa.Array:
    return pa.array(micros, pa.timestamp("us", tz="UTC"))


def _write(table: pa.Table, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = -(-table.num_rows // FILES)
    for part in range(FILES):
        pq.write_table(table.slice(part * rows, rows), folder / f"part-{part}.parquet")
