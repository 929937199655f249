"""Random impressions and versions, the settings that an entity may have, and a search of all versions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.sources import Entity
from features.spark.rows import held_rows

# Key and instant of an impression; of a version what `COLUMNS` names; of an answer what `answers` does.
Impression = tuple[str | None, int | None]
Version = tuple[str | None, int | None, int | None, int | None, int | None]
Answer = tuple[int, str | None, int | None, int | None, int | None, float | None]
Case = tuple[Sequence[Impression], Sequence[Version]]
COLUMNS = ("user_id", "ts", "available_at", "turn", "value")
SECOND = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Ends of the calendar, the epoch, and the hours in which European clocks change.
ANCHORS = [
    (datetime.fromisoformat(f"{when}+00:00") - EPOCH) // timedelta(microseconds=1)
    for when in ("1900-01-01 00:00", "1969-12-31 23:59:59", "2026-03-29 01:00", "2026-10-25 01:00", "9999-12-31 00:00")
]
# Few keys and few instants, so that ties, corrections and late rows are common; one key has most of the rows.
KEYS = [None, "hot", "hot", "hot", "hot", "a", "b", "c"]
SMALL = [None, 0, 1, 2]
# available_at often lies soon after ts, else anywhere.
DELAYS = [0, 0, SECOND, 3 * SECOND, None, None]


def instant(draw: Random) -> int | None:
    """A microsecond near one of the anchors, or no time."""
    near = draw.choice(ANCHORS) + draw.randint(-2, 6) * SECOND + draw.choice([0, 0, 0, 1, -1])
    return draw.choice([None, near, near, near, near])


def impressions(draw: Random, rows: int = 200) -> list[Impression]:
    """(key, instant) of impressions; some keys have no versions."""
    return [(draw.choice([*KEYS, "without versions"]), instant(draw)) for _ in range(rows)]


def versions(draw: Random, rows: int = 300) -> list[Version]:
    """(key, ts, available_at, turn, value) of versions."""
    return [version(draw) for _ in range(rows)]


def version(draw: Random) -> Version:
    ts, delay = instant(draw), draw.choice(DELAYS)
    known = instant(draw) if ts is None or delay is None else ts + delay
    return draw.choice(KEYS), ts, known, draw.choice(SMALL), draw.choice(SMALL)


def together(cases: Iterable[Case]) -> tuple[list[Impression], list[Version]]:
    """Several (impressions, versions) as one: the keys of each carry its number."""
    served = [(_of(number, row[0]), *row[1:]) for number, (left, _) in enumerate(cases) for row in left]
    rows = [(_of(number, row[0]), *row[1:]) for number, (_, right) in enumerate(cases) for row in right]
    return served, rows


def _of(number: int, key: str | None) -> str | None:
    return None if key is None else f"{number} {key}"


ENTITIES: dict[str, dict[str, Any]] = {
    "no later": {},
    "before": {"bound": "<"},
    "looks back": {"lookback_s": 2, "ties": ("turn",)},
    "before, looks back": {"bound": "<", "lookback_s": 2},
    "available": {"available": True},
    "available before": {"available": True, "bound": "<", "ties": ("turn",)},
    "available, looks back": {"available": True, "lookback_s": 2, "ties": ("value", "turn")},
}


def entity(available: bool = False, **settings: Any) -> Entity:
    """An entity over the random versions."""
    mapped = [name for name in COLUMNS if available or name != "available_at"]
    return Entity(path="-", key="user_id", columns={name: name for name in mapped}, **settings)


def frames(spark: SparkSession, served: Iterable[Impression], rows: Collection[Version]) -> tuple[DataFrame, DataFrame]:
    """Both sides as Spark tables; times travel as microseconds, because Python's own do not reach as far."""
    left = held_rows(
        spark,
        [(number, key, micros) for number, (key, micros) in enumerate(served)],
        "impression_id int, user_id string, ts long",
    )
    right = held_rows(spark, rows, "user_id string, ts long, available_at long, turn int, value int")
    times = {name: F.timestamp_micros(name) for name in ("ts", "available_at")}
    return left.withColumn("ts", times["ts"]), right.withColumns(times)


def answers(joined: DataFrame, name: str = "user") -> DataFrame:
    """What was joined, comparable with `searched`: id, key, ts, turn, value, age."""
    row = F.col(name)
    ts = F.unix_micros(row["ts"]).alias("begun")
    return joined.select("impression_id", row["user_id"].alias("key"), ts, row["turn"], row["value"], row["age_s"])


def searched(served: Iterable[Impression], rows: Sequence[Version], settings: Entity) -> set[Answer]:
    """The answer of a search of all versions, as a set of tuples like `answers` gives."""
    available = "available_at" in settings.columns
    found: set[Answer] = set()
    for number, (key, now) in enumerate(served):
        past = []
        for row in rows:
            _, ts, known, turn, value = row
            if key is None or now is None or row[0] != key or ts is None or (available and known is None):
                continue
            begun = max(ts, known) if available and known is not None else ts
            if begun < now or (begun == now and settings.bound == "<="):
                past.append((ts, known, turn, value))
        best = max(past, key=lambda row: _rank(row, settings), default=None)
        if (
            now is None
            or best is None
            or (settings.lookback_s is not None and now - best[0] > settings.lookback_s * SECOND)
        ):
            found.add((number, None, None, None, None, None))
        else:
            found.add((number, key, best[0], best[2], best[3], (now - best[0]) / SECOND))
    return found


def searched_each(cases: Iterable[Case], settings: Entity) -> set[Answer]:
    """The answer to `together(cases)`, each case searched by itself."""
    found: set[Answer] = set()
    before = 0
    for number, (served, rows) in enumerate(cases):
        answer = searched(served, rows, settings)
        found |= {(before + one[0], _of(number, one[1]), *one[2:]) for one in answer}
        before += len(served)
    return found


def _rank(row: tuple[int | None, ...], settings: Entity) -> list[tuple[bool, int]]:
    own = dict(zip(COLUMNS[1:], row, strict=True))
    names = dict.fromkeys(["ts", *settings.ties, "available_at", *COLUMNS[3:]])
    # A null is the least value of its column.
    return [
        (own[name] is not None, own[name] or 0) for name in names if name != "available_at" or name in settings.columns
    ]
