"""Shifts of features between two sets of days of the training table, from their profiles, without Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from camoe.contracts.built.columns import profiled
from camoe.contracts.encoder import Encoder
from camoe.contracts.features import FeatureSet
from camoe.contracts.runs import RunRecord
from camoe.contracts.schema import RUN_ID
from camoe.contracts.snapshot import is_delta_table
from camoe.contracts.storage import Storage, location_of, open_storage
from features.delta.log import active_files
from features.report.cells import KNOWN, MISSING, NAMED, UNKNOWN
from features.report.document import Rows, shift_between

# Rows by value, None where it is missing, of each feature.
Profile = Mapping[str, Counter[str | None]]
# Rows, shares missing and unknown, and PSI, of each feature.
Shifts = dict[str, dict[str, Any]]
COLUMNS = ["feature", "value", "rows"]


def feature_shifts(
    profiles: Path,
    records: Mapping[date, RunRecord],
    days: Sequence[date],
    *,
    features: FeatureSet,
    encoder: Encoder,
    reference: Sequence[date],
) -> Shifts:
    """Return by feature its rows on `days`, shares missing and unknown, and PSI against the `reference` days.

    `records` are those of the runs that built the days. What of the days has no profile is left out; empty where all of
    either has none. A value that `encoder` lacks is unknown.
    """
    after = _profile(profiles, records, days)
    return shifts_of(after, profiles, records, features=features, encoder=encoder, reference=reference)


def shifts_of(
    after: Profile,
    profiles: Path,
    records: Mapping[date, RunRecord],
    *,
    features: FeatureSet,
    encoder: Encoder,
    reference: Sequence[date],
) -> Shifts:
    """Return what `feature_shifts` does of rows whose values were counted in `after`, such as candidates."""
    before = _profile(profiles, records, reference)
    if not before or not after:
        return {}
    vocabularies = features.vocabulary_of
    found = {}
    for feature in features.declared:
        sides = before.get(feature.name, Counter()), after.get(feature.name, Counter())
        vocabulary = vocabularies.get(feature.name)
        named = _most_frequent(sides[0]) if vocabulary is not None else None
        known = frozenset(encoder.shown(vocabulary)) if vocabulary is not None else frozenset()
        rows = [_cells(side, named, known) for side in sides]
        found[feature.name] = shift_between(feature, rows[0], rows[1])
    return found


def _profile(profiles: Path, records: Mapping[date, RunRecord], days: Collection[date]) -> Profile:
    if not is_delta_table(profiles):
        return {}
    wanted, outdated = profiled({day: records[day] for day in days if day in records})
    parts, storage = [], open_storage(location_of(profiles))
    for file in active_files(profiles):
        of = date.fromisoformat(str(file["partition.date"])), str(file[f"partition.{RUN_ID}"])
        if of in wanted:
            path = str(file["path"])
            rows = storage.tried(partial(_read, storage, path), path)
            gone = [name for *by, name in outdated if tuple(by) == of]
            parts.append(rows.filter(pc.invert(pc.is_in(rows["feature"], pa.array(gone, pa.string())))))
    if not parts:
        return {}
    return profile_of(pa.concat_tables(parts))


def profile_of(rows: pa.Table) -> Profile:
    """Add up counted values, with the columns `COLUMNS`."""
    summed = rows.group_by(["feature", "value"]).aggregate([("rows", "sum")])
    found: dict[str, Counter[str | None]] = {}
    for row in summed.to_pylist():
        found.setdefault(row["feature"], Counter())[row["value"]] += row["rows_sum"]
    return found


def _read(storage: Storage, path: str) -> pa.Table:
    return storage.parquet(path).read(COLUMNS)


def _most_frequent(profile: Counter[str | None]) -> frozenset[str]:
    ordered = sorted((-rows, value) for value, rows in profile.items() if value is not None)
    return frozenset(value for _, value in ordered[:NAMED])


def _cells(profile: Counter[str | None], named: frozenset[str] | None, known: frozenset[str]) -> Rows:
    """Return the cells of `features.report.cells`; those of a feature without vocabulary where `named` is None."""
    rows: Rows = Counter()
    for value, count in profile.items():
        if value is None:
            rows[MISSING, ""] += count
        elif named is None:
            rows[KNOWN, value] += count
        elif value not in known:
            rows[UNKNOWN, ""] += count
        else:
            rows[KNOWN, value if value in named else ""] += count
    return rows
