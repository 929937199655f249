"""The raw lake cut down to what was available at a time gives the impressions up to then the same features."""

from __future__ import annotations

import pytest

from camoe.contracts import encoder as encoders
from camoe.contracts.layout import Layout
from tests.features import lake

pytestmark = pytest.mark.slow

# A click counts from an hour after its impression on, which is after the cut on the second day.
HISTORY = {
    "since": lake.DAYS[0],
    "objectives": ["click"],
    "windows": ["all", "1d"],
    "keys": {"all": [], "user": ["user_id"], "plan": ["user.plan"]},
}
SEQUENCES = [{"name": "seen", "sql": "campaign_id", "key": "user", "max_length": 4, "age": True}]
THEN = f"{lake.DAYS[1]}T12:15:00"
LATE = f"{lake.DAYS[1]}T18:00:00"


def users():
    """The versions of the lake, known as they happen, and two for each user that were not there at `THEN`."""
    known = [{**row, "known": row["ts"]} for row in lake.users()]
    names = sorted({row["user"] for row in known})
    corrected = [
        {"user": name, "ts": f"{lake.DAYS[0]}T07:00:00", "known": LATE, "plan": "gold", "plays": 50.0} for name in names
    ]
    began = [{**row, "ts": LATE, "plays": 70.0} for row in corrected]
    return known + corrected + began


def features(spark, folder, **tables):
    """The features of the impressions of the training days up to `THEN`, each category as its value."""
    lake.write_lake(folder, **tables)
    settings = lake.config(folder)
    settings["sources"]["entities"]["user"]["columns"]["available_at"] = "known"
    settings["features"] |= {"history": HISTORY, "sequence": SEQUENCES}
    config = lake.write_config(folder, settings)
    assert lake.run_job(config, "--days", f"{lake.DAYS[0]}..{lake.DAYS[1]}", "--as-of", f"{lake.DAYS[3]}T00:00:00") == 0
    layout = Layout(folder / "out")
    values = encoders.read(layout.encoder).values
    names = [name for name in values if name != "seen"]
    table = spark.read.format("delta").load(str(layout.training))
    numbers = [name for name in table.columns if name.startswith("num_")]
    rows = table.where(f"ts <= '{THEN}Z'").collect()
    return {
        row.impression_id: [
            dict(enumerate(values[name], encoders.FIRST)).get(row[f"cat_{name}"], row[f"cat_{name}"]) for name in names
        ]
        + [row[name] for name in numbers]
        + [[values["seen"][index - encoders.FIRST] for index in row.seq_seen], row.seq_seen_age]
        for row in rows
    }


def test_what_came_later_leaves_the_features_of_impressions_before_it_alone(spark, tmp_path):
    whole = features(spark, tmp_path / "whole", users=users())
    cut = features(
        spark,
        tmp_path / "cut",
        impressions=[row for row in lake.impressions() if row["ts"] <= THEN],
        outcomes=[row for row in lake.outcomes() if row["ts"] <= THEN],
        users=[row for row in users() if max(row["ts"], row["known"]) <= THEN],
    )
    assert len(cut) == lake.ROWS_A_DAY + 16
    assert whole == cut
