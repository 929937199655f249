"""A lake of any size in seconds, with the tables and columns that conf/sources/synthetic.yaml maps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Array = npt.NDArray[Any]

START = 1_772_406_000 * 1_000_000  # 2026-03-02 in Stockholm, in microseconds
DAY = 86_400 * 1_000_000
DAYS = 10
SLOTS = {"stream_audio": 0.4, "podcast_audio": 0.25, "npv_display": 0.15, "podcast_display": 0.1}
VIDEO = {"stream_video": 0.05, "podcast_video": 0.03, "embedded_music": 0.02}
# Share of impressions with the outcome, and how many seconds later at the latest.
OUTCOMES = {"click": (0.05, 1_800), "stream": (0.04, 86_400), "completion": (0.3, 1_800), "conversion": (0.01, 172_800)}
IMPRESSIONS_A_USER, VERSIONS_A_USER, IMPRESSIONS_A_SESSION, CAMPAIGNS = 25, 2, 2, 500
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
    hits = {name: np.flatnonzero(draw.random(len(ids)) < share) for name, (share, _) in OUTCOMES.items()}
    which = np.concatenate(list(hits.values()))
    delays = [draw.integers(1, latest * 1_000_000, len(hits[name])) for name, (_, latest) in OUTCOMES.items()]
    when = ts[which] + np.concatenate(delays)
    return {
        "impression_id": pa.array(ids[which]),
        "objective": pa.array(np.repeat(list(hits), [len(found) for found in hits.values()])),
        "ts": _times(when),
        "available_at": _times(when + 1_000_000),
        "value": pa.array(np.ones(len(which), "int32")),
    }


def _contexts(sessions: Array, ts: Array, draw: np.random.Generator) -> dict[str, pa.Array]:
    words = ("focus", "content", "device", "connection", "genre")
    return {"session_id": pa.array(sessions), **_known(ts), **_words(words, len(sessions), draw)}


def _users(users: int, draw: np.random.Generator) -> dict[str, pa.Array]:
    ids = np.repeat(np.arange(users), VERSIONS_A_USER)
    ts = START - 20 * DAY + draw.integers(0, 30 * DAY, len(ids))
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
