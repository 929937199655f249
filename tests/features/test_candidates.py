"""Candidates get the features of the impressions that they may become, and are refused like them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.runs import active_records
from camoe.contracts.snapshot import logged
from camoe.contracts.sources import KeyedHash
from features.candidates import opened_candidates
from features.plan import plan_for
from features.replay import MICROS, Replay, replayed
from features.report.drift import feature_shifts
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


def shown_on_the_day():
    return [row for row in lake.impressions() if row["id"].startswith("i3-") and row["user"] != QUIET]


def encoded(spark, config, path):
    plan = plan_for(config, [DAY])
    with opened_candidates(spark, plan, path) as offered:
        rows = offered.encoded(encoders.read(config.layout.encoder, 1), config.features).collect()
    return {(row["request_id"], row["campaign_id"]): row.asDict() for row in rows}


def test_an_impression_as_a_candidate_has_the_features_of_the_training_table(spark, built, tmp_path):
    folder, config = built
    logged = [row for row in lake.impressions() if row["id"].startswith("i3-")]
    # Each request has a second candidate, which must not change anything for the first or for later ones.
    others = [{**row, "campaign": f"c{(int(row['campaign'][1]) + 1) % 3}"} for row in logged]
    found = encoded(spark, config, candidates(tmp_path, [*logged, *others]))
    assert len(found) == 2 * len(logged)
    rows = {row.impression_id: row.asDict() for row in lake.training(spark, folder).values() if row.date == DAY}
    assert len(rows) == len(shown_on_the_day())
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


def test_models_share_the_values_of_candidates_and_the_shift_is_that_of_such_impressions(spark, built, tmp_path):
    _, config = built
    layout, days, path = config.layout, config.days, candidates(tmp_path, shown_on_the_day())
    records = active_records(logged(layout.training), layout.runs)
    fitted = encoders.read(layout.encoder, 1)
    asked = {"features": config.features, "encoder": fitted, "reference": days.train.days()}
    with opened_candidates(spark, plan_for(config, [DAY]), path) as offered:
        assert offered.values.is_cached
        found = offered.shifts_of(records)(**asked)
        one, other = (
            {row["cat_advertiser"] for row in offered.encoded(encoder, config.features).collect()}
            for encoder in (fitted, encoders.Encoder(2, dict.fromkeys(fitted.values, ())))
        )
    assert found == feature_shifts(layout.profiles, records, [DAY], **asked)
    assert found["user_impressions_all"]["psi"] > 1
    assert max(one) >= encoders.FIRST > max(other)


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


@pytest.mark.slow
def test_a_log_is_replayed_with_other_campaigns_in_its_raw_columns(spark, built, tmp_path):
    _, config = built
    chosen = Replay(campaigns=2, candidates=4, caps={"2": 1}, budget=0.5, budget_spread=0)
    tables = {name: table.persist() for name, table in replayed(spark, plan_for(config, [DAY]), chosen).items()}
    asked, shown = tables["requests"].collect(), shown_on_the_day()
    # Thirty minutes of one hour.
    assert sorted((row.user_id, row.second % 3600 // 60, row.slot) for row in asked) == sorted(
        (row["user"], int(row["id"].partition("-")[2]), row["slot"]) for row in shown
    )
    assert {(row.slot, row.queue, row.day, row.places) for row in asked} == {
        ("feed", "video", 0, 1),
        ("break", "audio", 0, 1),
    }
    most = [campaign for campaign, _ in sorted(Counter(row["campaign"] for row in shown).most_common())]
    campaigns = tables["campaigns"].collect()
    assert len(campaigns) == 2
    assert {row.campaign_id for row in campaigns} < set(most)
    assert {(row.cap, row.first_day, row.last_day) for row in campaigns} == {(2, 0, 0)}
    assert sum(row.daily for row in campaigns) == pytest.approx(0.5 * len(shown) * MICROS, abs=2)
    tables["candidates"].write.parquet(str(tmp_path / "candidates"))
    offered = [(row.request_id, row.campaign_id) for row in tables["candidates"].collect()]
    assert len(set(offered)) == len(offered)
    assert {request for request, _ in offered} == {row.request_id for row in asked}
    assert {campaign for _, campaign in offered} == {row.campaign_id for row in campaigns}
    # Read by the mapping of the log, each is the impression that it names.
    found = encoded(spark, config, tmp_path / "candidates")
    assert set(found) == set(offered)
    users = {row.request_id: (row.user_id, row.slot) for row in asked}
    assert all((row["user_id"], row["slot"]) == users[request] for (request, _), row in found.items())


def test_a_log_whose_candidates_would_tell_too_much_or_nothing_is_not_replayed(spark, built):
    _, config = built
    plan = plan_for(config, [DAY])
    hashed = plan.sources.model_copy(update={"keyed_hash": KeyedHash(key_env="KEY", columns=("user_id",))})
    with pytest.raises(ConfigError, match="keyed_hash hides some of them"):
        replayed(spark, replace(plan, sources=hashed), Replay())
    log = plan.sources.impressions
    columns = {**log.columns, "campaign_id": "concat(campaign, slot)"}
    two = plan.sources.model_copy(update={"impressions": log.model_copy(update={"columns": columns})})
    with pytest.raises(InputError, match=r"the campaign is read from \['campaign', 'slot'\]"):
        replayed(spark, replace(plan, sources=two), Replay())
