"""The states of a trial, one a day, objective, head and slot: a small file from which any metric comes again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import xlogy

from camoe.contracts.files import atomic_file
from camoe.contracts.slots import SlotCatalogue
from camoe.metrics.histogram import Floats, Histogram, merge
from camoe.metrics.table import ALL

KEYS = ("part", "date", "objective", "head", "slot", "predictor")
ENTRIES = ("bucket", "bin", "count", "positives", "p_sum", "log_loss")
# Parts of the rows that a trial scores: those that are reported, and those that tuning is judged on; and those that
# stop its training.
TEST, CHOOSE, VALIDATION = "test", "choose", "validation"
# Group kind and group.
Group = tuple[str, str]


def states_of(rows: pd.DataFrame, buckets: int) -> pd.DataFrame:
    """Return the states of scored rows: of each of `KEYS` the `ENTRIES` that `Histogram` has, those with a label.

    `rows` has the columns of `KEYS` but `predictor`, p, p_raw, label (NaN where unknown) and bucket.
    """
    groups = [name for name in KEYS if name != "predictor"]
    parts = []
    for key, own in rows.groupby(groups, sort=True):
        for predictor, column in (("model", "p"), ("model_raw", "p_raw")):
            state = Histogram.from_rows(own[column], own["label"], own["bucket"], buckets)
            entries = pd.DataFrame({name: getattr(state, name) for name in ENTRIES})
            of: dict[str, Any] = {**dict(zip(groups, key, strict=True)), "predictor": predictor}
            parts.append(entries.assign(**of))
    return pd.concat(parts, ignore_index=True)[[*KEYS, *ENTRIES]]


def write_states(path: Path, states: pd.DataFrame) -> None:
    """Write `states` to `path`, atomically."""
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pandas(states, preserve_index=False), temporary, compression="zstd")


def read_states(path: Path, part: str, predictor: str = "model") -> pd.DataFrame:
    """Return the states at `path` of one part of the rows, by one predictor."""
    found = pq.read_table(pa.BufferReader(path.read_bytes())).to_pandas()
    chosen: pd.DataFrame = found[(found["part"] == part) & (found["predictor"] == predictor)]
    return chosen


def histogram(states: pd.DataFrame, buckets: int) -> Histogram:
    """Return the state of all rows of `states`."""
    entries = {name: states[name].to_numpy() for name in ENTRIES}
    return merge([Histogram(buckets=buckets, unknown=0, **entries)], buckets)


def by_group(states: pd.DataFrame, slots: SlotCatalogue, objective: str, buckets: int) -> dict[Group, Histogram]:
    """Return the states of one objective on each of the `groups`."""
    own = states[states["objective"] == objective]
    return {group: histogram(own[own["slot"].isin(ids)], buckets) for group, ids in groups(slots).items()}


def groups(slots: SlotCatalogue) -> dict[Group, set[str]]:
    """Return the slots of each group of rows: all, each modality, each slot.

    A modality or slot that is the only one and is called `all`, as in a guessed configuration, is no group beside it.
    """
    found = {(ALL, ALL): {slot.id for slot in slots.slots}}
    found |= {
        ("modality", name): {slot.id for slot in slots.slots if slot.modality == name} for name in slots.modalities
    }
    found |= {("slot", slot.id): {slot.id} for slot in slots.slots}
    return {group: ids for group, ids in found.items() if group[0] == ALL or group[1] != ALL or ids != found[ALL, ALL]}


def entropy_over_slots(states: pd.DataFrame) -> float | None:
    """Return the log loss of all rows over that of the rate of their slot and objective; None where each has one label.

    A row has the same part in it whichever heads there are, so variants of any grouping can be chosen by it.
    """
    summed = states.groupby(["objective", "slot"])[["count", "positives", "log_loss"]].sum()
    rows, clicks = summed["count"].to_numpy(np.float64), summed["positives"].to_numpy(np.float64)
    entropy = float((xlogy(rows, rows) - xlogy(clicks, clicks) - xlogy(rows - clicks, rows - clicks)).sum())
    return float(summed["log_loss"].sum()) / entropy if entropy > 0 else None


def labels(block_labels: npt.NDArray[np.int8]) -> Floats:
    """Return labels `[N]` as numbers, NaN where they are not known."""
    found = block_labels.astype(np.float64)
    found[found < 0] = np.nan
    return found
