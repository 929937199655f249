"""The report as one JSON-able document, from plain counts. Holds no value of any feature, so no user's id either."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from camoe.contracts.days import Days
from camoe.contracts.drift.shift import LARGE, MODERATE, in_cells, noise, numeric_cells, psi
from camoe.contracts.encoder import Encoder
from camoe.contracts.features import Categorical, FeatureSet, Numeric
from camoe.contracts.sequences import SequenceFeature
from features.impressions.tally import Tally
from features.join.choice import Choice
from features.report.cells import MISSING, UNKNOWN, Cell
from features.report.coverage import Coverage
from features.spark.names import columns_named

TRAINING = "training"
DIGITS = 6

Feature = Categorical | Numeric | SequenceFeature
Counts = Mapping[str, int]
# Rows by (kind, value) of a cell.
Rows = Counter[tuple[str, str]]


@dataclass(frozen=True)
class RunFacts:
    """Facts of the report's run. `groups` maps a name to its days, `training` first where there is one."""

    run_id: str
    as_of: str
    label_as_of: Mapping[str, str]
    encoder_version: int
    table: str
    table_version: int
    groups: Mapping[str, tuple[date, ...]]


def day_groups(days: Days, known: Collection[date]) -> dict[str, tuple[date, ...]]:
    """Group the `known` days as training, validation and test days; every other one is a group of its own."""
    declared = {TRAINING: days.train.days(), "validation": days.validation.days(), "test": days.test.days()}
    groups = {name: tuple(day for day in of if day in known) for name, of in declared.items()}
    others = sorted(set(known) - set(days.all_days()))
    return {**{name: of for name, of in groups.items() if of}, **{day.isoformat(): (day,) for day in others}}


def feature_report(
    run: RunFacts,
    tally: Tally,
    *,
    unknown_slots: Counts,
    choices: Sequence[Choice],
    coverage: Sequence[Coverage],
    cells: Sequence[Cell],
    encoder: Encoder,
    features: FeatureSet,
) -> dict[str, Any]:
    """Return the document: `run`, `groups`, `steps`, `unknown_slots`, `entities`, `features` and `marks` of the shift.

    A `calendar` feature rests on the impression's time alone. Each has, per group of days and per day, its rows (a
    sequence's elements), the shares that are missing and unknown, and its PSI against the training days beside the one
    that chance alone would give; null without training days.
    """
    entities, sizes = [choice.entity for choice in choices], encoder.column_sizes(features)
    by_feature: dict[str, list[Cell]] = {}
    for cell in cells:
        by_feature.setdefault(cell.feature, []).append(cell)
    tables = _tables(features)
    return {
        "run": {
            "run_id": run.run_id,
            "as_of": run.as_of,
            "label_as_of": dict(run.label_as_of),
            "encoder_version": run.encoder_version,
            "table": run.table,
            "table_version": run.table_version,
        },
        "groups": {name: [day.isoformat() for day in of] for name, of in run.groups.items()},
        "marks": {"moderate": MODERATE, "large": LARGE},
        "steps": _steps(tally),
        "unknown_slots": dict(unknown_slots),
        "entities": [_entity(choice, coverage) for choice in choices],
        "features": [
            {
                "name": feature.name,
                "kind": _kind(feature),
                "calendar": of_the_calendar(feature.sql),
                "entities": _read_entities(feature.sql, entities),
                "sizes": [sizes[column] for column in tables.get(feature.name, [])],
                **_measured(feature, by_feature.get(feature.name, []), run.groups),
            }
            for feature in features.declared
        ],
    }


def _tables(features: FeatureSet) -> dict[str, list[str]]:
    """Return the embedding tables of each categorical and sequence feature."""
    return {
        **{item.name: list(item.columns) for item in features.categorical},
        **{item.name: [column.table for column in features.columns_of(item)] for item in features.sequence},
    }


def _steps(tally: Tally) -> list[dict[str, Any]]:
    """Return the rows into and out of each step, and why rows were left out; a step takes what the last one left."""
    dropped: dict[str, Counts] = {
        "exclude by declaration": tally.excluded,
        "drop duplicates": {"duplicate": tally.duplicates} if tally.duplicates else {},
        "check and quarantine": tally.quarantined,
        "join entities": {},
        "encode and write": {},
    }
    steps, rows = [], tally.read
    for name, reasons in dropped.items():
        left = rows - sum(reasons.values())
        steps.append({"name": name, "rows_in": rows, "rows_out": left, "dropped": dict(reasons)})
        rows = left
    return steps


def _entity(choice: Choice, coverage: Sequence[Coverage]) -> dict[str, Any]:
    own = [item for item in coverage if item.entity == choice.entity]
    whole = [_coverage(item) for item in own if item.day is None]
    days = [{"date": item.day.isoformat(), **_coverage(item)} for item in own if item.day is not None]
    table = {"table_rows": choice.rows, "without_key_or_time": choice.unusable}
    return {"name": choice.entity, **table, **whole[0], "days": days}


def _coverage(item: Coverage) -> dict[str, Any]:
    ages = None if item.age_s is None else dict(zip(("p50", "p90", "p99"), item.age_s, strict=True))
    return {"rows": item.rows, "matched": round(item.matched, DIGITS), "age_s": ages}


def _kind(feature: Feature) -> str:
    if isinstance(feature, Numeric):
        return "numeric"
    if isinstance(feature, SequenceFeature):
        return "sequence"
    return "categorical" if feature.hashing is None else "hashed"


def _read_entities(sql: str, names: Sequence[str]) -> list[str]:
    """Return the entities whose columns the expression names."""
    return [name for name in names if re.search(rf"(?<![\w.`-])`?{re.escape(name)}`?\s*\.", sql)]


def of_the_calendar(sql: str) -> bool:
    """Return whether the expression names no column but the impression's time, so that it shifts by nature."""
    named = set(columns_named(sql))
    return bool(named) and named <= {("ts",), ("local_ts",)}


def _measured(feature: Feature, cells: Sequence[Cell], groups: Mapping[str, tuple[date, ...]]) -> dict[str, Any]:
    counted: dict[date | None, Rows] = {}
    for cell in cells:
        counted.setdefault(cell.day, Counter())[cell.kind, cell.value or ""] += cell.rows
    # Training days of earlier runs come as one sum, under no day.
    of_group = {name: _total(counted, (None, *of) if name == TRAINING else of) for name, of in groups.items()}
    training = of_group.get(TRAINING, Counter())
    starts = _starts(feature, training)
    reference = _in_cells(training, starts)
    return {
        "groups": {name: _against(reference, _in_cells(rows, starts)) for name, rows in of_group.items()},
        "days": {
            day.isoformat(): _against(reference, _in_cells(counted[day], starts))
            for day in sorted(day for day in counted if day is not None)
        },
    }


def shift_between(feature: Feature, reference: Rows, later: Rows) -> dict[str, Any]:
    """Return the rows of `later`, the shares that are missing and unknown, and the PSI against the `reference`."""
    starts = _starts(feature, reference)
    return _against(_in_cells(reference, starts), _in_cells(later, starts))


def _total(counted: Mapping[date | None, Rows], days: Iterable[date | None]) -> Rows:
    total: Rows = Counter()
    for day in days:
        total.update(counted.get(day, {}))
    return total


def _starts(feature: Feature, reference: Rows) -> tuple[int, ...]:
    return numeric_cells(_bins(reference)) if isinstance(feature, Numeric) else ()


def _bins(rows: Rows) -> dict[int, int]:
    return {int(value): count for (kind, value), count in rows.items() if kind != MISSING}


def _in_cells(rows: Rows, starts: Sequence[int]) -> Rows:
    """Merge a numeric's bins into the cells that begin at `starts`; without `starts` return `rows` as they are."""
    if not starts:
        return rows
    missing = {key: count for key, count in rows.items() if key[0] == MISSING}
    return Counter({**missing, **{("known", name): count for name, count in in_cells(_bins(rows), starts).items()}})


def _against(reference: Rows, later: Rows) -> dict[str, Any]:
    names = sorted(reference.keys() | later.keys())
    before, after = [reference[name] for name in names], [later[name] for name in names]
    rows = later.total()
    return {
        "rows": rows,
        "missing": _share(sum(count for (kind, _), count in later.items() if kind == MISSING), rows),
        "unknown": _share(sum(count for (kind, _), count in later.items() if kind == UNKNOWN), rows),
        "psi": _rounded(psi(before, after)),
        "psi_by_chance": _rounded(noise(before, after)),
    }


def _share(part: int, rows: int) -> float | None:
    return round(part / rows, DIGITS) if rows else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
