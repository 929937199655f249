"""Records of feature runs: inputs and built days of each, and built days that rest on inputs that changed since.

A run writes its record before it commits to the training table. Every row of the table names its run, so the files of
a table version say which run each day comes from, and the record of a run that never committed is never looked at.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial, reduce
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints, ValidationError

from camoe.contracts.config_file import Section
from camoe.contracts.days import day_list
from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_text
from camoe.contracts.snapshot import Snapshot

# At most 32 characters, because Delta cuts the statistics of longer strings.
RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
# The day under which an entity without ts keeps the one fingerprint it has.
TIMELESS = date.min
READ_AT_ONCE = 16
# Stands for the fingerprint of a day that a run did not look at.
UNSEEN = -1


class RunError(CamoeError):
    """A run's record is missing or damaged, or days rest on inputs that changed since they were built."""


class EntityState(Section):
    """An entity table as a run saw it: a hash of the rows that became known on each day, and how far a join looks back.

    `reach_days` is None without a limit. Nothing became known on a day without a hash, unless it was not looked at:
    those before `since` were not, and where the state is `partial` none were.
    """

    fingerprints: Mapping[date, str]
    reach_days: int | None = None
    partial: bool = False
    since: date | None = None

    def looked_at(self, day: date) -> bool:
        """Return whether a row that became known on `day` would have been seen."""
        return day in self.fingerprints or not (self.partial or (self.since is not None and day < self.since))


class LabelCount(Section):
    """Rows of a day whose label of an objective is `known`, and those of them that are `positive`."""

    positive: int
    known: int


class RunRecord(Section):
    """One feature run.

    `built` is when it began to read and orders runs. `asked` are the days that were asked for, `days` all that it built
    (a cascade adds some), each with its rows by slot. `input` is the folder of the raw tables, `logs` the paths of the
    impressions that were read in it. Labels of a day are those known at its `label_as_of`, and `labels` counts them by
    objective and day; `accepted` is what lay under its floor, and why it was written all the same.

    `features` are the definitions of the features that it built. A run that adds columns to built days keeps rows:
    `kept` are the runs that those of a day come from, the one that made them first; their records are `under` it.
    `history` is the folder of the history that it used.
    """

    run_id: RunId
    built: datetime
    settings_hash: str
    input: str
    logs: tuple[str, ...] = ()
    input_versions: Mapping[str, str] = Field(default_factory=dict)
    as_of: datetime
    label_as_of: Mapping[date, datetime] = Field(default_factory=dict)
    encoder_version: int
    asked: tuple[date, ...] = ()
    days: Mapping[date, Mapping[str, int]]
    entities: Mapping[str, EntityState] = Field(default_factory=dict)
    labels: Mapping[str, Mapping[date, LabelCount]] = Field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    features: Mapping[str, str] = Field(default_factory=dict)
    kept: Mapping[date, tuple[RunId, ...]] = Field(default_factory=dict)
    history: str = ""
    under: Mapping[str, RunRecord] = Field(default_factory=dict, exclude=True, repr=False)

    def layers(self, day: date) -> tuple[RunRecord, ...]:
        """Return the records of the runs that the rows of `day` come from, of which the first made them."""
        return (*(self.under[name] for name in self.kept.get(day, ())), self)

    def built_by(self, day: date) -> dict[str, RunRecord]:
        """Return by feature the run whose values the rows of `day` have; empty where older records do not say."""
        return {name: layer for layer in self.layers(day) for name in layer.features}

    def definitions(self, day: date) -> dict[str, str]:
        """Return by feature the definition of the values that the rows of `day` have."""
        return {name: layer.features[name] for name, layer in self.built_by(day).items()}

    def labelled_as_of(self, day: date) -> datetime:
        """Return the time as of which the labels of `day` were taken; older records have one for all their days."""
        return self.label_as_of.get(day, self.as_of)


def lock_of(runs: Path, run_id: str) -> Path:
    """Return the lease that one attempt of the run holds; names with a space are of no run."""
    return runs / f".{run_id}.lock"


def write_record(record: RunRecord, folder: Path) -> None:
    """Write `folder/<run_id>.json`, atomically."""
    write_text(folder / f"{record.run_id}.json", record.model_dump_json(indent=2) + "\n")


def read_record(folder: Path, run_id: str) -> RunRecord:
    """Read one record. Raises `RunError` when it is missing or damaged."""
    path = folder / f"{run_id}.json"
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"the record of feature run {run_id} is missing at {path}; build its days again") from None
    except ValidationError as error:
        raise RunError(f"{path} is damaged ({error.error_count()} errors); build the days of {run_id} again") from None


def active_runs(snapshot: Snapshot) -> dict[date, str]:
    """Return the run that built each day of a table version, from the file list alone.

    Raises:
        RunError: a day's files come from several runs, or do not say.
    """
    found = makers(snapshot)
    for day, runs in found.items():
        if len(runs) > 1 or "" in runs:
            names = ", ".join(sorted(runs - {""})) or "none"
            raise RunError(f"{snapshot.table}: the files of {day} name {names} as their run; build that day again")
    return {day: next(iter(runs)) for day, runs in found.items()}


def makers(snapshot: Snapshot) -> dict[date, frozenset[str]]:
    """Return the runs that the files of each day name; an empty name where a file does not say."""
    found: dict[date, set[str]] = {}
    for file in snapshot.files:
        found.setdefault(file.day, set()).add(file.run_id)
    return {day: frozenset(runs) for day, runs in sorted(found.items())}


def active_records(snapshot: Snapshot, folder: Path, without: Collection[date] = ()) -> dict[date, RunRecord]:
    """Return the record of the run that built each day of a table version; days in `without` are left out, unread.

    Raises:
        RunError: as `active_runs` and `read_record` do.
    """
    others = replace(snapshot, files=tuple(file for file in snapshot.files if file.day not in without))
    runs = active_runs(others)
    names = sorted(set(runs.values()))
    # From a store it is the waiting for them that takes the time.
    with ThreadPoolExecutor(READ_AT_ONCE) as pool:
        records = dict(zip(names, pool.map(partial(_whole_record, folder), names), strict=True))
    return {day: records[run] for day, run in runs.items()}


def _whole_record(folder: Path, run_id: str) -> RunRecord:
    record = read_record(folder, run_id)
    names = sorted({name for kept in record.kept.values() for name in kept})
    return record.model_copy(update={"under": {name: read_record(folder, name) for name in names}})


def encoder_version(active: Mapping[date, RunRecord]) -> int:
    """Return the encoder that reads every row of a table version: versions only append, so it is the greatest."""
    return max((record.encoder_version for record in active.values()), default=0)


def stale_days(active: Mapping[date, RunRecord]) -> dict[date, str]:
    """Find the days that depend on an earlier day which was built later from other entity rows: day to the reason.

    `active` maps every built day to the record of its run. A day depends on the entity rows that were known by its end
    and within reach of its joins; it is stale when a later run saw other ones for a feature of an earlier day that it
    has, too.
    """
    views = list(_views(active))
    days = [day for day, _, _ in views]
    runs = list({record.run_id: record for _, record, _ in views}.values())
    row = {record.run_id: number for number, record in enumerate(runs)}
    rows = [row[record.run_id] for _, record, _ in views]
    moments = {built: rank for rank, built in enumerate(sorted({record.built for record in runs}))}
    built = [moments[record.built] for _, record, _ in views]
    seen = {name: _Seen.of(name, runs) for name in sorted({name for record in runs for name in record.entities})}
    stale: dict[date, str] = {}
    for number, (day, _, features) in enumerate(views):
        later = [
            other
            for other, moment in enumerate(built[:number])
            if moment > built[number] and days[other] < day and _share(features, views[other][2])
        ]
        others = [rows[other] for other in later]
        changed = {name: own.differ(day, rows[number], others) for name, own in seen.items() if later}
        hits = np.flatnonzero(reduce(np.logical_or, changed.values())).tolist() if changed else []
        if hits:
            names = " and ".join(name for name, differs in changed.items() if differs[hits[0]])
            earlier, by = days[later[hits[0]]], runs[others[hits[0]]]
            stale.setdefault(day, f"{names} changed before {earlier} was built again by run {by.run_id}")
    return stale


def _views(active: Mapping[date, RunRecord]) -> Iterator[tuple[date, RunRecord, frozenset[str]]]:
    """Yield each day with the runs that its rows come from, and the features of each, by name and definition.

    None stands for all of them.
    """
    for day in sorted(active):
        found: dict[str, set[str]] = {}
        for name, layer in active[day].built_by(day).items():
            found.setdefault(layer.run_id, set()).add(f"{name} {layer.features[name]}")
        for layer in active[day].layers(day):
            if layer.run_id in found or not found:
                yield day, layer, frozenset(found.get(layer.run_id, ()))


def _share(one: frozenset[str], other: frozenset[str]) -> bool:
    return not one or not other or not one.isdisjoint(other)


def require_fresh(active: Mapping[date, RunRecord], days: Iterable[date], where: str) -> None:
    """Raise `RunError` when one of `days` is stale in `where`, a table version of which `active` are the records."""
    stale = stale_days(active)
    hit = sorted(set(days) & set(stale))
    if hit:
        listed = day_list(hit)
        raise RunError(
            f"{where}: stale days {listed} ({stale[hit[0]]}); "
            f"rebuild them with jobs/build_features.py {rebuild_options(active, hit)}"
        )


def rebuild_options(active: Mapping[date, RunRecord], days: Iterable[date]) -> str:
    """Return the options under which the feature job builds `days` again, with all that the runs in `active` knew.

    Without the time, labels whose windows were open for them would be settled.
    """
    known = max(record.as_of.astimezone(UTC) for record in active.values())
    return f"--days {day_list(days)} --as-of {known.isoformat()}"


@dataclass(frozen=True)
class _Seen:
    """Fingerprints that runs saw of one entity: `prints` numbers them by (run, known day), `UNSEEN` where none looked.

    `known` are the known days as ordinals, in order, and `reach` is each run's `reach_days`. Arrays, because a table
    of a thousand days may have a thousand runs, each with as many fingerprints.
    """

    known: list[int]
    prints: NDArray[np.int32]
    reach: tuple[int | None, ...]

    @classmethod
    def of(cls, name: str, runs: Sequence[RunRecord]) -> _Seen:
        # A run that lacks the entity joined none of it.
        states = [record.entities.get(name, EntityState(fingerprints={}, partial=True)) for record in runs]
        known = sorted({day for state in states for day in state.fingerprints})
        numbers: dict[str | None, int] = {}
        prints = np.full((len(states), len(known)), UNSEEN, dtype=np.int32)
        for row, state in enumerate(states):
            for column, day in enumerate(known):
                if state.looked_at(day):
                    prints[row, column] = numbers.setdefault(state.fingerprints.get(day), len(numbers))
        return cls([day.toordinal() for day in known], prints, tuple(state.reach_days for state in states))

    def differ(self, day: date, own: int, others: Sequence[int]) -> NDArray[np.bool_]:
        """Return which of `others` saw other rows than `own` among those that rows of `day` may rest on."""
        last, reach = day.toordinal(), self.reach[own]
        timeless = bisect_right(self.known, TIMELESS.toordinal())
        first = timeless if reach is None else max(timeless, bisect_left(self.known, last - reach))
        after = bisect_right(self.known, last)
        different = np.zeros(len(others), dtype=np.bool_)
        for visible in (slice(timeless), slice(first, after)):
            theirs, mine = self.prints[others, visible], self.prints[own, visible]
            different |= ((theirs != mine) & (theirs != UNSEEN) & (mine != UNSEEN)).any(axis=1)
        return different
