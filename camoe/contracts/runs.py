"""Feature runs: what each one read and built, and which built days rest on inputs that changed since.

A run writes its record before it commits to the training table. Every row of the table names its run, so the files of
a table version say which run each day comes from, and the record of a run that never committed is never looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from camoe.contracts.config_file import Section
from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_text
from camoe.contracts.snapshot import Snapshot

# At most 32 characters, because Delta cuts the statistics of longer strings.
RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
# The day under which an entity without ts keeps the one fingerprint it has.
TIMELESS = date.min


class RunError(CamoeError):
    """A run's record is missing or damaged, or days rest on inputs that changed since they were built."""


class EntityState(Section):
    """An entity table as a run saw it: a hash of the rows that became known on each day, and how far a join looks back.

    `reach_days` is None without a limit.
    """

    fingerprints: Mapping[date, str]
    reach_days: int | None = None

    def visible(self, day: date) -> dict[date, str]:
        """The fingerprints that rows of `day` may rest on."""
        first = date.min if self.reach_days is None else day - timedelta(days=self.reach_days)
        return {known: text for known, text in self.fingerprints.items() if known == TIMELESS or first <= known <= day}


class RunRecord(Section):
    """One feature run. `built` orders runs; `days` maps each day to its rows by slot."""

    run_id: RunId
    built: datetime
    settings_hash: str
    input: str
    input_versions: Mapping[str, str] = Field(default_factory=dict)
    as_of: datetime
    encoder_version: int
    days: Mapping[date, Mapping[str, int]]
    entities: Mapping[str, EntityState] = Field(default_factory=dict)


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
    """The run that built each day of a table version, from the file list alone.

    Raises:
        RunError: a day's files come from several runs, or do not say.
    """
    found: dict[date, set[str]] = {}
    for file in snapshot.files:
        found.setdefault(file.day, set()).add(file.run_id)
    for day, runs in found.items():
        if len(runs) > 1 or "" in runs:
            names = ", ".join(sorted(runs - {""})) or "none"
            raise RunError(f"{snapshot.table}: the files of {day} name {names} as their run; build that day again")
    return {day: next(iter(runs)) for day, runs in sorted(found.items())}


def stale_days(active: Mapping[date, RunRecord]) -> dict[date, str]:
    """Days that depend on an earlier day which was built later from other entity rows: day to the reason.

    `active` maps every built day to the record of its run. A day depends on the entity rows that were known by its end
    and within reach of its joins; it is stale when a later run of an earlier day saw other ones.
    """
    stale: dict[date, str] = {}
    for day, own in active.items():
        for earlier, other in active.items():
            if earlier < day and other.built > own.built and day not in other.days:
                changed = _changed(own, other, day)
                if changed:
                    stale[day] = f"{changed} changed before {earlier} was built again by run {other.run_id}"
                    break
    return stale


def require_fresh(snapshot: Snapshot, folder: Path, days: Iterable[date]) -> None:
    """Raise `RunError` when one of `days` is stale in `snapshot`; `folder` holds the run records."""
    runs = active_runs(snapshot)
    records = {run: read_record(folder, run) for run in sorted(set(runs.values()))}
    stale = stale_days({day: records[run] for day, run in runs.items()})
    hit = sorted(set(days) & set(stale))
    if hit:
        listed = ",".join(day.isoformat() for day in hit)
        raise RunError(
            f"{snapshot.table} version {snapshot.version}: stale days {listed} ({stale[hit[0]]}); "
            f"rebuild them with jobs/build_features.py --days {listed}"
        )


def _changed(own: RunRecord, other: RunRecord, day: date) -> str:
    names = sorted(own.entities.keys() | other.entities.keys())
    none = EntityState(fingerprints={})
    differing = [
        name
        for name in names
        if own.entities.get(name, none).visible(day) != other.entities.get(name, none).visible(day)
    ]
    return " and ".join(differing)
