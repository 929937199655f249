"""A lake of any size in seconds, with the tables and columns that conf/sources/synthetic.yaml maps.

`write_lake` makes one of ten days; `DayLake` one that goes on day by day, of parquet or Delta tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake

Array = npt.NDArray[Any]

START = 1_772_406_000 * 1_000_000  # 2026-03-02 in Stockholm, in microseconds
DAY = 86_400 * 1_000_000
DAYS = 10
# The first day of a lake that goes on day by day.
FIRST, START_UTC = date(2026, 3, 2), 1_772_409_600 * 1_000_000
# As far as outcomes may lie behind the last day's impressions, by the longest window that is declared.
OUTCOME_DAYS = 3
SLOTS = {"stream_audio": 0.4, "podcast_audio": 0.25, "npv_display": 0.15, "podcast_display": 0.1}
VIDEO = {"stream_video": 0.05, "podcast_video": 0.03, "embedded_music": 0.02}
# Share of impressions with the outcome, and how many seconds later at the latest.
OUTCOMES = {"click": (0.05, 1_800), "stream": (0.04, 86_400), "completion": (0.3, 1_800), "conversion": (0.01, 172_800)}
IMPRESSIONS_A_USER, VERSIONS_A_USER, IMPRESSIONS_A_SESSION, CAMPAIGNS = 25, 2, 2, 500
IMPRESSIONS_A_USER_A_DAY = 5
WORDS = ("one", "two", "three", "four", "five", "six")


def write_lake(impressions: int, folder: Path, seed: int = 1) -> None:
    """Write impressions (one file a day), outcomes, users, contexts and campaigns, as parquet."""
    draw = np.random.default_rng(seed)
    a_day = -(-impressions // DAYS)
    users = max(1, impressions // IMPRESSIONS_A_USER)
    for day in range(DAYS):
        ids = np.arange(day * a_day, min(impressions, (day + 1) * a_day))
        ts = START + day * DAY + draw.integers(0, DAY, len(ids))
        sessions = ids // IMPRESSIONS_A_SESSION
        _write(_impressions(ids, ts, sessions, users, draw), folder / "impressions", day)
        _write(_outcomes(ids, ts, draw), folder / "outcomes", day)
        own, first = np.unique(sessions, return_index=True)
        _write(_contexts(own, ts[first] - 60 * 1_000_000, draw), folder / "contexts", day)
    _write(_users(users, draw), folder / "users", 0)
    _write(_campaigns(draw), folder / "campaigns", 0)


@dataclass(frozen=True)
class DayLake:
    """A log of `rows` impressions a day from `FIRST` on, in UTC, as tables of `format`.

    The days' parquet files lie in folders by day, Delta's logs are partitioned by `on`. Each user has a version a day,
    known before it, and each session a context.
    """

    folder: Path
    rows: int
    format: Literal["parquet", "delta"] = "parquet"
    seed: int = 1

    def write(self, days: int) -> None:
        """Write the first `days` days. Outcomes come days later, so their log goes on a little longer."""
        draw = np.random.default_rng(self.seed)
        outcomes = list[dict[str, Array]]()
        for day, begin in self._days(days):
            ids = np.arange(day * self.rows, (day + 1) * self.rows)
            ts = begin + np.sort(draw.integers(0, DAY, self.rows))
            users, sessions = max(1, self.rows // IMPRESSIONS_A_USER_A_DAY), ids // IMPRESSIONS_A_SESSION
            self._put(_impressions(ids, ts, sessions, users, draw), "impressions", day)
            outcomes.append(_happened(ids, ts, draw))
            own, first = np.unique(sessions, return_index=True)
            self._put(_contexts(own, ts[first] - 60 * 1_000_000, draw), "contexts", day, partitioned=False)
            versions = _versions(np.arange(users), begin - draw.integers(1, DAY, users), draw)
            self._put(versions, "users", day, partitioned=False)
        # A row of no impression a day, as a day without any would be taken for one that is missing.
        begins = np.array([begin for _, begin in self._days(days + OUTCOME_DAYS)])
        none: dict[str, Array] = {
            "impression_id": np.full(len(begins), -1),
            "objective": np.repeat(["click"], len(begins)),
            "ts": begins,
        }
        every = {name: np.concatenate([one[name] for one in (*outcomes, none)]) for name in none}
        for day, begin in self._days(days + OUTCOME_DAYS):
            here = (every["ts"] >= begin) & (every["ts"] < begin + DAY)
            self._put(_told({name: values[here] for name, values in every.items()}), "outcomes", day)
        self._put(_campaigns(draw), "campaigns", 0, partitioned=False)

    @staticmethod
    def day(number: int) -> date:
        """Return the day of that number, from 0."""
        return FIRST + timedelta(days=number)

    def _days(self, days: int) -> Iterator[tuple[int, int]]:
        return ((day, START_UTC + day * DAY) for day in range(days))

    def _put(self, columns: dict[str, pa.Array], name: str, day: int, *, partitioned: bool = True) -> None:
        on, rows = self.day(day).isoformat(), pa.table(columns)
        if self.format == "parquet":
            folder = self.folder / name / on if partitioned else self.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(rows, folder / f"part-{day}.parquet")
            return
        if partitioned:
            rows = rows.append_column("on", pa.array([on] * rows.num_rows, pa.string()))
        by = ["on"] if partitioned else None
        write_deltalake(self.folder / name, rows, mode="append", partition_by=by)


def _impressions(ids: Array, ts: Array, sessions: Array, users: int, draw: np.random.Generator) -> dict[str, pa.Array]:
    slots = {**SLOTS, **VIDEO}
    return {
        "impression_id": pa.array(ids),
        "user_id": pa.array(draw.integers(0, users, len(ids))),
        "session_id": pa.array(sessions),
        "campaign_id": pa.array(draw.integers(0, CAMPAIGNS, len(ids))),
        "slot": pa.array(draw.choice(list(slots), len(ids), p=list(slots.values()))),
        "ts": _times(ts),
        "pod_position": pa.array(draw.integers(1, 4, len(ids)).astype("int32")),
    }


def _outcomes(ids: Array, ts: Array, draw: np.random.Generator) -> dict[str, pa.Array]:
    return _told(_happened(ids, ts, draw))


def _happened(ids: Array, ts: Array, draw: np.random.Generator) -> dict[str, Array]:
    hits = {name: np.flatnonzero(draw.random(len(ids)) < share) for name, (share, _) in OUTCOMES.items()}
    which = np.concatenate(list(hits.values()))
    delays = [draw.integers(1, latest * 1_000_000, len(hits[name])) for name, (_, latest) in OUTCOMES.items()]
    named = np.repeat(list(hits), [len(found) for found in hits.values()])
    return {"impression_id": ids[which], "objective": named, "ts": ts[which] + np.concatenate(delays)}


def _told(outcomes: dict[str, Array]) -> dict[str, pa.Array]:
    return {
        "impression_id": pa.array(outcomes["impression_id"]),
        "objective": pa.array(outcomes["objective"]),
        "ts": _times(outcomes["ts"]),
        "available_at": _times(outcomes["ts"] + 1_000_000),
        "value": pa.array(np.ones(len(outcomes["ts"]), "int32")),
    }


def _contexts(sessions: Array, ts: Array, draw: np.random.Generator) -> dict[str, pa.Array]:
    words = ("focus", "content", "device", "connection", "genre")
    return {"session_id": pa.array(sessions), **_known(ts), **_words(words, len(sessions), draw)}


def _users(users: int, draw: np.random.Generator) -> dict[str, pa.Array]:
    ids = np.repeat(np.arange(users), VERSIONS_A_USER)
    return _versions(ids, START - 20 * DAY + draw.integers(0, 30 * DAY, len(ids)), draw)


def _versions(ids: Array, ts: Array, draw: np.random.Generator) -> dict[str, pa.Array]:
    return {
        "user_id": pa.array(ids),
        **_known(ts),
        **_words(("age_band", "market", "os", "favourite_genre"), len(ids), draw),
        "tenure_days": pa.array(draw.integers(0, 2_000, len(ids)).astype("int32")),
        "listening_hours": pa.array(draw.random(len(ids)) * 10),
    }


def _campaigns(draw: np.random.Generator) -> dict[str, pa.Array]:
    ids = np.repeat(np.arange(CAMPAIGNS), 2)
    start = np.full(len(ids), START - DAY)
    return {
        "campaign_id": pa.array(ids),
        **_known(start + np.tile([0, 5 * DAY], CAMPAIGNS)),
        "advertiser_id": pa.array(ids // 3),
        **_words(("campaign_objective", "vertical", "creative"), len(ids), draw),
        "bid": pa.array(draw.random(len(ids)) * 10),
        "flight_start": _times(start),
        "flight_end": _times(start + 20 * DAY),
    }


def _known(ts: Array) -> dict[str, pa.Array]:
    return {"ts": _times(ts), "available_at": _times(ts + 10 * 1_000_000)}


def _words(names: tuple[str, ...], rows: int, draw: np.random.Generator) -> dict[str, pa.Array]:
    return {name: pa.array(draw.choice(WORDS, rows)) for name in names}


def _times(micros: Array) -> pa.Array:
    return pa.array(micros, pa.timestamp("us", tz="UTC"))


def _write(columns: dict[str, pa.Array], folder: Path, part: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / f"part-{part}.parquet")
