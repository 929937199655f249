"""Benchmark of the history's part in a feature run; the last line printed is one JSON object.

python -m bench.history [--days 2,20,200] [--rows-a-day 10000] [--sizes 200000,1000000,5000000] [--hot-rows 1000000]
    What `history` adds to a run whose impressions are judged and joined: their events are counted, each of them looks
    back, and the days and blocks are written. One more day on histories of so many days; ten days of so many rows
    together without a history; and a day one user of which has 30 % of the rows, beside one without such a user.
    Figures are seconds by the clock and, `.cpu`, of processor time, by which the ratios are: others may be at work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.history import History
from camoe.contracts.sequences import SequenceFeature
from camoe.contracts.sources import Objective
from features.delta.commit import CommitMetadata
from features.history.events import events
from features.history.keys import Layout, key_columns, value_columns
from features.history.past import opened, told
from features.history.store import HistoryStore
from features.impressions.labels import settled_column
from features.read.window import DayWindow
from features.spark.session import spark_session

LOG = logging.getLogger("bench")
ROOT = Path(__file__).resolve().parents[1]
FIRST = date(2026, 1, 1)
KEYS = {
    "all": [],
    "slot": ["slot"],
    "user": ["user_id"],
    "user_slot": {"by": ["user_id", "slot"], "parent": "slot"},
    "campaign": ["campaign_id"],
    "user_campaign": {"by": ["user_id", "campaign_id"], "parent": "user"},
}
SEEN = SequenceFeature(name="seen", sql="campaign_id", key="user", max_length=20, age=True)
OWNED = ("user", "user_slot", "user_campaign")
DAYS_OF_A_SIZE = 10
ROWS_A_USER, CAMPAIGNS, SLOTS = 10, 2_000, 5
HOT = 0.3


@dataclass(frozen=True)
class Log:
    """Impressions, `rows` a day of as many users every day, one of which has the share `hot` of them."""

    rows: int
    hot: float = 0.0

    def shown(self, spark: SparkSession, first: int, days: int) -> DataFrame:
        """Return the impressions of `days` days from the `first` (0: that of the history's beginning) on."""

        def drawn(salt: int, below: int) -> Column:
            return F.pmod(F.xxhash64("id", F.lit(salt)), F.lit(below))

        begin = datetime.combine(FIRST, datetime.min.time(), UTC).timestamp()
        second = F.lit(int(begin)) + F.expr(f"id div {self.rows}") * 86400 + drawn(1, 86400)
        user = F.when(drawn(2, 1000) < int(self.hot * 1000), 0).otherwise(drawn(3, max(1, self.rows // ROWS_A_USER)))
        rows = spark.range(first * self.rows, (first + days) * self.rows).select(
            F.col("id").cast("string").alias("impression_id"),
            user.cast("string").alias("user_id"),
            drawn(4, CAMPAIGNS).cast("string").alias("campaign_id"),
            F.concat(F.lit("slot"), drawn(5, SLOTS)).alias("slot"),
            F.timestamp_seconds(second).alias("ts"),
            (drawn(6, 20) == 0).cast("tinyint").alias(settled_column("click")),
        )
        made = {**key_columns(rows, LAYOUT.history), **value_columns(rows, LAYOUT.sequences)}
        return rows.withColumns({"date": F.col("ts").cast("date"), **made})


LAYOUT = Layout.of(
    History.model_validate({"since": FIRST, "objectives": ["click"], "windows": ["all", "7d"], "keys": KEYS}),
    {"click": Objective(window_s=1800)},
    (SEEN,),
)


@dataclass(frozen=True, order=True)
class Cost:
    """Processor time and time by the clock, in seconds."""

    cpu: float
    clock: float


def processor_seconds() -> float:
    """Return the processor time of this process and of all that it has started, in seconds."""
    fields = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It ended while we looked.
            own = path.read_text().rpartition(")")[2].split()
            fields[int(path.parent.name)] = (int(own[1]), sum(map(int, own[11:15])))
    mine = {os.getpid()}
    while more := {pid for pid, (parent, _) in fields.items() if parent in mine} - mine:
        mine |= more
    return sum(fields[pid][1] for pid in mine if pid in fields) / os.sysconf("SC_CLK_TCK")


def run(spark: SparkSession, home: Path, log: Log, first: int, days: int, *, looks: bool = True) -> Cost:
    """Let a run of `days` days from the `first` on count, look back (unless not) and write; return what that costs.

    Its impressions are read from files, which are written before.
    """
    rows = home / f"impressions-{first}"
    log.shown(spark, first, days).write.mode("overwrite").parquet(str(rows))
    used, started = processor_seconds(), time.perf_counter()
    shown = spark.read.parquet(str(rows))
    own = tuple(FIRST + timedelta(days=first + day) for day in range(days))
    window = DayWindow("UTC", own, datetime.combine(own[-1], datetime.min.time(), UTC) + timedelta(days=2))
    store = HistoryStore(home / "history", LAYOUT)
    by = CommitMetadata(f"run-{first}", "bench", "bench")
    with opened(store, store.found(), events(shown, LAYOUT), window, owned=OWNED, run=by) as past:
        if looks:
            told(shown, past).write.format("noop").mode("overwrite").save()
        past.write()
    return Cost(processor_seconds() - used, time.perf_counter() - started)


def one_more_day(spark: SparkSession, log: Log, days: int, rounds: int) -> Cost:
    """Return the median cost of further days, one after the other, on a history of so many days."""
    with tempfile.TemporaryDirectory() as home:
        run(spark, Path(home), log, 0, days, looks=False)
        return statistics.median_low(run(spark, Path(home), log, days + more, 1) for more in range(rounds))


def without_history(spark: SparkSession, log: Log, days: int, rounds: int) -> Cost:
    """Return the median cost of the first run of all, of so many days."""
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as home:
            found.append(run(spark, Path(home), log, 0, days))
    return statistics.median_low(found)


def session(memory: str) -> SparkSession:
    """Return Spark with the shipped settings of one machine."""
    builder = SparkSession.builder
    for line in (ROOT / "conf/spark/local.conf").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            key, value = line.split(None, 1)
            builder = builder.config(key, value.strip())
    builder.config("spark.driver.memory", memory).getOrCreate()
    return spark_session("bench")


def main() -> None:
    """Run the three benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", default="2,20,200", help="days of history before one more")
    parser.add_argument("--rows-a-day", type=int, default=10_000)
    parser.add_argument("--sizes", default="200000,1000000,5000000", help="impressions of ten days together")
    parser.add_argument("--hot-rows", type=int, default=1_000_000, help="impressions of a day with a hot user")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="4g", help="of Spark's driver")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    chosen = parser.parse_args()
    spark, costs = session(chosen.memory), dict[str, Cost]()

    def note(name: str, cost: Cost) -> None:
        costs[name] = cost
        LOG.info("%s: %s", name, cost)

    without_history(spark, Log(1_000), 2, 2)
    histories, sizes = ([int(text) for text in given.split(",")] for given in (chosen.days, chosen.sizes))
    for days in histories:
        note(f"days.{days}", one_more_day(spark, Log(chosen.rows_a_day), days, chosen.rounds))
    for size in sizes:
        note(f"rows.{size}", without_history(spark, Log(size // DAYS_OF_A_SIZE), DAYS_OF_A_SIZE, 1))
    for name, share in (("even", 0.0), ("hot", HOT)):
        note(f"users.{name}", without_history(spark, Log(chosen.hot_rows, share), 1, 2))
    seconds = [math.log(costs[f"rows.{size}"].cpu) for size in sizes]
    figures = {name: round(cost.clock, 2) for name, cost in costs.items()}
    figures |= {f"{name}.cpu": round(cost.cpu, 2) for name, cost in costs.items()}
    figures["slope"] = round(float(np.polyfit([math.log(size) for size in sizes], seconds, 1)[0]), 3)
    ratios = {
        "flat": round(costs[f"days.{histories[0]}"].cpu / costs[f"days.{histories[-1]}"].cpu, 3),
        "linear": round(1 / figures["slope"], 3),
        "hot": round(costs["users.even"].cpu / costs["users.hot"].cpu, 3),
        "hot.clock": round(costs["users.even"].clock / costs["users.hot"].clock, 3),
    }
    print(json.dumps({"bench": "history", "config": vars(chosen), "figures": figures, "ratios": ratios}))


if __name__ == "__main__":
    main()
