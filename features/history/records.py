"""Records of the history's days and blocks: whose rows count, and what they rest on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.config_file import Section
from camoe.contracts.hashing import short_hash
from camoe.contracts.runs import EntityState
from features.history.blocks import Block
from features.history.keys import Layout
from features.spark.values import digest, row_hash

# Names of the states by which runs find days that rest on changed ones; no entity may have them.
SHOWN, SETTLED = "history", "history outcomes"
# Hash of a day without events.
NO_EVENTS = digest(0, 0, 0)


class StoredDay(Section):
    """Whose rows of a source day count, and hashes of its events: without their labels (`shown`), and with them.

    `run_id` names the one write that put them there. `final`: all of its labels had matured, so no later run need make
    the day again.
    """

    day: date
    run_id: str
    final: bool
    shown: str
    settled: str


class StoredBlock(Section):
    """Whose rows of a block count, and a hash of whose rows of its days these add up."""

    first: date
    days: int
    run_id: str
    rests_on: str

    @property
    def block(self) -> Block:
        """The block."""
        return Block(self.first, self.days)


def rests_on(block: Block, days: Mapping[date, StoredDay], layout: Layout) -> str:
    """Return the hash of whose rows of its days the block's add up; empty unless all of them are there and final."""
    sources = [days.get(day) for day in block.sources(layout)]
    if not all(one is not None and one.final for one in sources):
        return ""
    return short_hash(json.dumps([one.run_id for one in sources if one is not None]))


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
            name: digest(row["rows"], row[f"{name}_0"], row[f"{name}_1"]) if row else NO_EVENTS
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
