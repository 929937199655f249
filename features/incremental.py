"""Earlier runs' part in a run: the table they built, days to rebuild with its own, counts to add to its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts import encoder as encoders
from camoe.contracts.built.columns import NONE, profiled
from camoe.contracts.days import day_list
from camoe.contracts.encoder import EncoderError
from camoe.contracts.features import FeatureSet
from camoe.contracts.layout import Layout
from camoe.contracts.runs import EntityState, RunError, RunRecord, active_records, makers, stale_days
from camoe.contracts.schema import RUN_ID
from camoe.contracts.snapshot import Snapshot, is_delta_table, logged
from features.delta.commit import latest_version
from features.delta.lost_log import require_log
from features.join.entity_states import reaching
from features.plan import Plan
from features.spark.rows import held_rows
from features.tables.side import days_of_runs, rows_of_runs
from features.tables.sizes import row_bytes
from features.tables.training import is_remade


@dataclass(frozen=True)
class ExistingTable:
    """The training table as a run found it: the runs that the files of each day name, and the records of those runs.

    There are no records of the days that the run builds again: a damaged day can always be built again. `profiles` is
    the version of the profiles' table that has the counts of these runs, `row_bytes` what a row takes on disk.
    """

    version: int
    makers: Mapping[date, frozenset[str]]
    records: Mapping[date, RunRecord]
    profiles: int = -1
    row_bytes: float = 0.0

    def without(self, days: Collection[date]) -> ExistingTable:
        """Return the same for a run that builds `days`: without their records."""
        return replace(self, records={day: record for day, record in self.records.items() if day not in days})


NO_TABLE = ExistingTable(-1, {}, {})


def without_built(training: Path | str, days: Sequence[date]) -> tuple[date, ...]:
    """Return those of `days` on which the `training` table has no rows. Raises `SnapshotError` as `logged` does."""
    built = {file.day for file in logged(training, days=days).files} if is_delta_table(training) else set[date]()
    return tuple(day for day in days if day not in built)


def find_existing(plan: Plan) -> ExistingTable:
    """Return the table that the run builds on; `NO_TABLE` where there is none, or one that it replaces as a whole.

    Raises:
        SnapshotError: the table cannot be read safely.
        RunError: a day does not say which run built it, or the record of that run is missing or damaged; or the table
            has lost its log.
    """
    if not is_delta_table(plan.layout.table):
        require_log(plan.layout)
        return NO_TABLE
    if is_remade(plan.target):
        return NO_TABLE
    snapshot, profiles = at_one_time(plan.layout)
    records = active_records(snapshot, plan.layout.runs, without=plan.window.days)
    return ExistingTable(snapshot.version, makers(snapshot), records, profiles, row_bytes(snapshot.files))


def at_one_time(layout: Layout) -> tuple[Snapshot, int]:
    """Return the training table, and the version of the profiles' table before any later run pruned it."""
    while True:
        snapshot, profiles = logged(layout.table), latest_version(layout.profiles)
        # A run prunes what it superseded after its commit: while the table stays as it is, nothing of it has gone.
        if latest_version(layout.table) == snapshot.version:
            return snapshot, profiles


def cascaded(plan: Plan, before: ExistingTable, entities: Mapping[str, EntityState]) -> tuple[date, ...]:
    """Return the run's days and those that it would leave stale, or that are stale already, in order.

    Raises:
        RunError: a day that is added was built with later knowledge, which the run's as-of time would take away.
    """
    days = set(plan.window.days)
    while True:
        own = plan.on(sorted(days)).record(reaching(entities, plan.sources, plan.window.zone, days))
        more = (stale_days({**before.records, **dict.fromkeys(days, own)}).keys() | _looking_back(plan, before)) - days
        if not more:
            _require_all_known(plan, before, days - set(plan.window.days))
            return tuple(sorted(days))
        days |= more


def _looking_back(plan: Plan, before: ExistingTable) -> set[date]:
    """Return the later days whose history reaches the run's; whether that changes is known once it is counted."""
    history = plan.features.history
    if history is None:
        return set()
    first, last = min(plan.window.days), max(plan.window.days) + timedelta(days=history.horizon_days)
    return {day for day in before.records if first < day <= last}


def _require_all_known(plan: Plan, before: ExistingTable, added: Collection[date]) -> None:
    known = max((before.records[day].as_of.astimezone(UTC) for day in added), default=plan.window.as_of)
    if known > plan.window.as_of:
        raise RunError(
            f"--cascade adds {day_list(added)}, built with what was known at {known.isoformat()}; as of "
            f"{plan.window.as_of.isoformat()} rows and labels of theirs would be lost; give --as-of {known.isoformat()}"
        )


def earlier_profiles(
    spark: SparkSession,
    layout: Layout,
    before: ExistingTable,
    days: Collection[date],
    defined: Mapping[str, str] = NONE,
) -> DataFrame | None:
    """Return the profile rows of the built days among `days`, of the runs that built each; None when there are none.

    Features that are `defined` otherwise than a day has them are left out.

    Raises:
        RunError: the rows of one of them are missing.
    """
    records = {day: record for day, record in before.records.items() if day in days}
    wanted, outdated = profiled(records, defined)
    if not wanted:
        return None
    missing = sorted({day for day, _ in wanted - days_of_runs(layout.profiles, before.profiles)})
    if missing:
        raise RunError(
            f"{layout.profiles} lacks the counts of {day_list(missing)}, which the encoder is fitted on; "
            f"build them again with --days {day_list(missing)}"
        )
    rows = rows_of_runs(spark, layout.profiles, before.profiles, wanted)
    if not outdated:
        return rows
    gone = held_rows(spark, sorted(outdated), f"date date, {RUN_ID} string, feature string")
    return rows.join(F.broadcast(gone), on=["date", RUN_ID, "feature"], how="left_anti")


def require_vocabularies(folder: Path, features: FeatureSet) -> None:
    """Raise `EncoderError` unless the newest encoder has a vocabulary of every feature that needs one."""
    if not encoders.latest_version(folder):
        raise EncoderError(
            f"there is no encoder at {folder} yet, and none of the run's days is a training day to fit one on; "
            "build training days first"
        )
    known = encoders.read(folder).values
    without = [name for name in features.min_counts if name not in known]
    if without:
        raise EncoderError(
            f"the encoder at {folder} has no vocabulary of '{without[0]}', and none of the run's days is a training "
            "day to fit one on; build training days first"
        )
