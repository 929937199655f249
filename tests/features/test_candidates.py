"""Candidates get the features of the impressions that they may become, and are refused like them."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import load
from camoe.contracts.errors import InputError
from features.candidates import encoded_candidates
from features.plan import plan_for
from tests.features import lake

DAY = date.fromisoformat(lake.DAYS[3])
HISTORY = {
    "since": lake.DAYS[0],
    "delay_s": 60,
    "objectives": ["click"],
    "keys": {"all": [], "user": ["user_id"], "advertiser": ["campaign.advertiser"]},
}
# A user who is shown nothing on the last day.
QUIET = "u5"
COLUMNS = {"id": "request_id", "user": "user", "campaign": "campaign", "slot": "slot", "ts": "ts"}


def candidates(folder, rows):
    path = folder / "candidates"
    path.mkdir(parents=True, exist_ok=True)
    table = pa.table({new: [row[old] for row in rows] for old, new in COLUMNS.items()})
    pq.write_table(table, path / "part-0.parquet")
    return path


@pytest.fixture(scope="module")
def built(spark, tmp_path_factory):
    """The lake with a history, and its last day's impressions as candidates."""
    folder = tmp_path_factory.mktemp("candidates")
    shown = [row for row in lake.impressions() if row["user"] != QUIET or not row["id"].startswith("i3-")]
    lake.write_lake(folder, impressions=shown)
    settings = lake.config(folder)
    settings["features"]["history"] = HISTORY
    path = lake.write_config(folder, settings)
    assert lake.run_job(path) == 0
    return folder, load(path, Config)


def encoded(spark, config, path):
    plan = plan_for(config, [DAY])
    with encoded_candidates(spark, plan, path, encoders.read(config.layout.encoder, 1)) as rows:
        return {(row["request_id"], row["campaign_id"]): row.asDict() for row in rows.collect()}


def test_an_impression_as_a_candidate_has_the_features_of_the_training_table(spark, built, tmp_path):
    folder, config = built
    logged = [row for row in lake.impressions() if row["id"].startswith("i3-")]
    # Each request has a second candidate, which must not change anything for the first or for later ones.
    others = [{**row, "campaign": f"c{(int(row['campaign'][1]) + 1) % 3}"} for row in logged]
    found = encoded(spark, config, candidates(tmp_path, [*logged, *others]))
    assert len(found) == 2 * len(logged)
    rows = {row.impression_id: row.asDict() for row in lake.training(spark, folder).values() if row.date == DAY}
    assert len(rows) == len([row for row in logged if row["user"] != QUIET])
    names = [name for name in config.features.columns if name in next(iter(rows.values()))]
    assert len(names) > 10
    for name, row in rows.items():
        own = found[name, row["campaign_id"]]
        assert {column: own[column] for column in (*names, "slot", "modality", "user_id", "date")} == {
            column: row[column] for column in (*names, "slot", "modality", "user_id", "date")
        }
    # Who had no impression on the day has a past all the same.
    earlier = sum(row["user"] == QUIET for row in lake.impressions() if not row["id"].startswith("i3-"))
    quiet = [row for row in found.values() if row["user_id"] == QUIET]
    (counted,) = [name for name in names if name.endswith("user_impressions_all")]
    assert {row[counted] for row in quiet} == {earlier}


def test_a_candidate_that_an_impression_would_be_refused_for_stops_the_job(spark, built, tmp_path):
    _, config = built
    row = lake.impressions()[-1]
    wrong = [
        {**row, "id": "lost", "slot": "nowhere"},
        row,
        row,
        {**row, "id": "other", "ts": f"{lake.DAYS[2]}T12:00:00"},
    ]
    with pytest.raises(InputError, match=r"3 of 4 cannot be scored \(.*given twice 1\); mend the table"):
        encoded(spark, config, candidates(tmp_path, wrong))
