"""Make the two tables that conf/kuairand.yaml reads beside the published ones, from the logs of KuaiRand-Pure.

python docs/examples/kuairand.py FOLDER

FOLDER has the published `log_standard_*_pure.csv`. It writes the log of 25 to 30 April 2022 as it is, and of each
user's impressions before these days (UTC+8) their number, the time of the last one, and the last 50 videos that were
shown, liked and viewed for long, newest last.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

BEFORE_MS = int(pd.Timestamp("2022-04-25", tz="Asia/Shanghai").timestamp() * 1000)
LONGEST = 50
COLUMNS = ["user_id", "video_id", "time_ms", "is_like", "long_view"]
FILE = "user_sequences_before_20220425.parquet"
DAYS = (20220425, 20220430)
LOG = "log_standard_20220425_20220430_pure.parquet"


def earlier(log: pd.DataFrame) -> pd.DataFrame:
    """Return one row a user of `log`, whose rows have `COLUMNS`."""
    rows = log[log["time_ms"] < BEFORE_MS].drop_duplicates().sort_values(["time_ms", "video_id"])
    by_user = rows.groupby("user_id")
    found = by_user.agg(history_len=("time_ms", "size"), last_time_ms=("time_ms", "max"))
    for name, kept in (
        ("watch", rows),
        ("like", rows[rows["is_like"] == 1]),
        ("long_watch", rows[rows["long_view"] == 1]),
    ):
        found[f"{name}_seq"] = kept.groupby("user_id")["video_id"].agg(lambda videos: list(videos)[-LONGEST:])
    lists = [name for name in found.columns if name.endswith("_seq")]
    found[lists] = found[lists].map(lambda value: value if isinstance(value, list) else [])
    return found.reset_index()


def main(folder: Path) -> None:
    """Read the logs in `folder` and write the tables beside them."""
    logs = [pd.read_csv(path) for path in sorted(folder.glob("log_standard_*_pure.csv"))]
    if not logs:
        sys.exit(f"error: {folder} has no log_standard_*_pure.csv; give the folder of the published data")
    log = pd.concat(logs)
    table, days = earlier(log[COLUMNS]), log[log["date"].between(*DAYS)]
    table.to_parquet(folder / FILE, index=False)
    days.to_parquet(folder / LOG, index=False)
    print(f"{len(table):,} users in {folder / FILE}, {len(days):,} impressions in {folder / LOG}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
