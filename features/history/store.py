"""Events and day states on disk: two Delta tables by source day and run, and one record a day that says whose count.

A day's rows are written first, then its record, in one rename. They rest on the logs alone, so they are right whether
or not the run that made them goes on to commit its training rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.config_file import Section
from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_text
from camoe.contracts.runs import EntityState
from camoe.contracts.schema import RUN_ID
from camoe.contracts.snapshot import is_delta_table
from features.delta.commit import CommitMetadata, signed
from features.history.keys import Layout
from features.spark.values import digest, row_hash
from features.tables.side import prune, put

# Names of the states by which runs find days that rest on changed ones; no entity may have them.
SHOWN, SETTLED = "history", "history outcomes"


class HistoryError(CamoeError):
    """The history's tables on disk are damaged."""


class StoredDay(Section):
    """Whose rows of a source day count, and hashes of its events: without their labels (`shown`), and with them.

    `final`: all of its labels had matured, so no later run need make the day again.
    """

    day: date
    run_id: str
    final: bool
    shown: str
    settled: str


@dataclass(frozen=True)
class HistoryStore:
    """The folder of the events, the states and the days' records, of one hash of the settings."""

    folder: Path

    @property
    def events(self) -> Path:
        """Delta table of events."""
        return self.folder / "events"

    @property
    def states(self) -> Path:
        """Delta table of day states."""
        return self.folder / "states"

    def days(self) -> dict[date, StoredDay]:
        """Return the records. Raises `HistoryError` when one is damaged."""
        found = {}
        for path in sorted((self.folder / "days").glob("*.json")):
            try:
                stored = StoredDay.model_validate_json(path.read_bytes())
            except ValidationError as error:
                raise HistoryError(f"{path} is damaged ({error.error_count()} errors); remove {self.folder}") from None
            found[stored.day] = stored
        return found

    def read(self, spark: SparkSession, table: Path, days: Collection[StoredDay]) -> DataFrame | None:
        """Return the rows of `table` that the records `days` name; None without any."""
        if not days or not is_delta_table(table):
            return None
        pairs = spark.createDataFrame(sorted((one.day, one.run_id) for one in days), f"date date, {RUN_ID} string")
        rows = spark.read.format("delta").load(str(table.resolve()))
        # Days and runs by themselves let Delta skip the files of others.
        near = F.col("date").isin([one.day for one in days]) & F.col(RUN_ID).isin([one.run_id for one in days])
        return rows.where(near).join(F.broadcast(pairs), on=["date", RUN_ID], how="left_semi").drop(RUN_ID)

    def write(self, events: DataFrame, states: DataFrame, days: Collection[StoredDay], run: CommitMetadata) -> None:
        """Put the rows of `days`, all of one run, in place of what counted before."""
        before = self.days()
        with signed(events.sparkSession, run):
            for rows, table in ((events, self.events), (states, self.states)):
                put(rows.withColumn(RUN_ID, F.lit(run.run_id)), table, run)
        for one in days:
            write_text(self.folder / "days" / f"{one.day.isoformat()}.json", one.model_dump_json(indent=2) + "\n")
        gone = {(one.day, old.run_id) for one in days if (old := before.get(one.day)) and old.run_id != run.run_id}
        for table in (self.events, self.states):
            if is_delta_table(table):
                prune(events.sparkSession, table, gone, run)


def matured(day: date, zone: str, layout: Layout) -> datetime:
    """Return the time from which all labels of `day` are settled."""
    end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone)).astimezone(UTC)
    return end + timedelta(seconds=max(layout.lags_s.values()))


def described(events: DataFrame, final: Mapping[date, bool], run_id: str) -> dict[date, StoredDay]:
    """Return the record of each of the days, `final` or not, in one Spark job over their `events`."""
    labels = [name for name in events.columns if name.startswith("_settled_")]
    plain = [name for name in events.columns if name not in labels]
    hashed = events.select("date", row_hash(plain).alias("shown"), row_hash(events.columns).alias("settled"))
    sums = [
        F.sum(part).alias(f"{name}_{place}")
        for name in ("shown", "settled")
        for place, part in enumerate((F.shiftrightunsigned(name, 32), F.col(name).bitwiseAND(F.lit(0xFFFFFFFF))))
    ]
    found = {row["date"]: row for row in hashed.groupBy("date").agg(F.count(F.lit(1)).alias("rows"), *sums).collect()}
    made = {}
    for day, whole in final.items():
        row = found.get(day)
        prints = {
            name: digest(row["rows"], row[f"{name}_0"], row[f"{name}_1"]) if row else digest(0, 0, 0)
            for name in ("shown", "settled")
        }
        made[day] = StoredDay(day=day, run_id=run_id, final=whole, **prints)
    return made


def states_of(days: Mapping[date, StoredDay], layout: Layout) -> dict[str, EntityState]:
    """Return the `days` as states that a run's record keeps, so that later runs see which days rest on changed ones.

    Labels that had not matured are left out: they change by themselves.
    """
    reach = layout.history.horizon_days + layout.lag_days + 1
    final = {day: one.settled for day, one in sorted(days.items()) if one.final}
    shown = {day: one.shown for day, one in sorted(days.items())}
    return {
        SHOWN: EntityState(fingerprints=shown, reach_days=reach, partial=True),
        SETTLED: EntityState(fingerprints=final, reach_days=reach, partial=True),
    }
