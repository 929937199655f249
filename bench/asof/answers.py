"""Who is right: each system's rows against an as-of merge in pandas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Verdict:
    """Impressions that got a version, and those that are missing, repeated, or have a wrong answer."""

    matched: int
    missing: int
    repeated: int
    wrong: int


def right_answers(folder: Path) -> pd.Series[Any]:
    """Return, by impression_id, when the version that belongs to it began, missing where none does."""
    served = pd.read_parquet(folder / "impressions", columns=["impression_id", "user_id", "ts"])
    rows = pd.read_parquet(folder / "versions", columns=["user_id", "ts", "begun"])
    known = served.dropna().sort_values("ts")
    merged = pd.merge_asof(known, rows.sort_values("ts"), on="ts", by="user_id")
    return merged.set_index("impression_id")["begun"].reindex(served["impression_id"])


def judge(answer: Path, hashes: Path, folder: Path, right: pd.Series[Any]) -> Verdict:
    """Hold an answer against the right one.

    A row is right when the version's time is, and its features are those of one row of that user and time: of
    versions that share both, each counts as right.
    """
    found = pd.read_parquet(answer)
    first = found.drop_duplicates("impression_id").set_index("impression_id")
    served = pd.read_parquet(folder / "impressions", columns=["impression_id", "user_id"]).set_index("impression_id")
    both = served.join(right.rename("right")).join(first, how="left").reset_index()
    whole = pd.read_parquet(hashes).drop_duplicates()
    checked = both.merge(whole.assign(whole=True), on=["user_id", "begun", "payload"], how="left")
    none_due = checked["right"].isna()
    good = (none_due & checked["begun"].isna()) | ((checked["begun"] == checked["right"]) & checked["whole"].eq(True))
    present = checked["impression_id"].isin(first.index)
    return Verdict(
        matched=int(found["begun"].notna().sum()),
        missing=int((~present).sum()),
        repeated=len(found) - len(first),
        wrong=int((present & ~good).sum()),
    )
