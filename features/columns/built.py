"""Days that are built, as a run that adds columns to them finds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date

from camoe.contracts.built.columns import lacking
from camoe.contracts.built.definitions import definitions
from camoe.contracts.days import day_list
from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.features import FeatureSet
from camoe.contracts.layout import Layout
from camoe.contracts.runs import RunRecord, active_records, makers
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.snapshot import is_delta_table, logged
from features.incremental import ExistingTable, at_one_time
from features.plan import Plan
from features.tables.sizes import row_bytes
from features.tables.training import is_remade


@dataclass(frozen=True)
class BuiltDays:
    """The run with the as-of time of its days, the table, and the records of the days to which it adds columns."""

    plan: Plan
    before: ExistingTable
    records: Mapping[date, RunRecord]

    @property
    def cells(self) -> dict[tuple[date, str], int]:
        """Rows of each (day, slot)."""
        return {(day, slot): rows for day, one in self.records.items() for slot, rows in one.days[day].items()}

    def kept(self) -> dict[date, tuple[str, ...]]:
        """Return by day the run that made its rows, and those of which a feature stays."""
        return {day: tuple(self._kept(day, one)) for day, one in self.records.items()}

    def _kept(self, day: date, record: RunRecord) -> Iterator[str]:
        built = record.built_by(day).items()
        staying = {layer.run_id for name, layer in built if name not in self.plan.added}
        first, *others = (layer.run_id for layer in record.layers(day))
        yield first
        yield from (run for run in others if run in staying)


def built_days(plan: Plan) -> BuiltDays:
    """Return the days of a run that adds columns.

    Raises:
        InputError: a day is not built, or not by what notes its features; or the table has other settings.
        RunError: the record of a run is missing or damaged.
        SnapshotError: the table cannot be read safely.
    """
    path, days = plan.layout.table, plan.window.days
    if not is_delta_table(path):
        raise InputError(f"there is no table at {path} to add columns to; build its days first")
    is_remade(plan.target)
    snapshot, profiles = at_one_time(plan.layout)
    every = active_records(snapshot, plan.layout.runs)
    absent = [day for day in days if day not in every]
    if absent:
        raise InputError(f"{day_list(absent)} of {path} are not built; build them, or leave them out")
    records = {day: every[day] for day in days}
    silent = [day for day, one in records.items() if not one.definitions(day)]
    if silent:
        raise InputError(f"{day_list(silent)} of {path} were built before runs noted their features; build them again")
    before = ExistingTable(snapshot.version, makers(snapshot), every, profiles, row_bytes(snapshot.files))
    # What was known when the days were built: so each of their impressions is found.
    as_of = max(one.as_of.astimezone(UTC) for one in records.values())
    known = replace(plan, window=replace(plan.window, as_of=as_of)).after(every.values())
    return BuiltDays(known, before, records)


def named_features(features: FeatureSet, names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` as they are declared: features, or columns of targets. Raises `ConfigError` for an unknown one."""
    declared = definitions(features)
    unknown = [name for name in names if name not in declared]
    if unknown:
        choose = suggestion(unknown[0], declared)
        raise ConfigError(f"--columns names '{unknown[0]}', which the features file does not declare; {choose}")
    return tuple(name for name in declared if name in names)


def lacking_days(layout: Layout, features: FeatureSet, days: Sequence[date], added: Sequence[str]) -> tuple[date, ...]:
    """Return those of `days` that are built and lack features to be `added`, as they are declared.

    Raises:
        RunError, SnapshotError: as `active_records` and `logged` do.
    """
    if not is_delta_table(layout.table):
        return ()
    records, defined = active_records(logged(layout.table, days=days), layout.runs), definitions(features)
    short = lacking(records, sorted(records), {name: defined[name] for name in added})
    return tuple(sorted({day for of in short.values() for day in of}))
