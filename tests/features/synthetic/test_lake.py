"""The synthetic lake: content fixed by configuration and seed, declared shares, rates and faults, honest truth."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from features.synthetic.config import LakeConfig
from features.synthetic.lake import check_replaceable, make_lake
from features.synthetic.sessions import RESTED_S, impressions
from tests.paths import ROOT
from tests.sparks import set_to

DEFAULT, CONTROL = ROOT / "conf/lake/default.yaml", ROOT / "conf/lake/control.yaml"
TABLES = ("raw/impressions", "raw/outcomes", "raw/users", "raw/contexts", "raw/campaigns", "truth")
SHARES = {
    "duplicates": 0.02,
    "conflicts": 0.015,
    "null_keys": 0.01,
    "house_ads": 0.02,
    "invalid_labels": 0.01,
    "duplicate_outcomes": 0.02,
    "orphan_outcomes": 0.015,
    "late_corrections": 0.05,
    "late_contexts": 0.03,
}
ROWS = 20_000

pytestmark = pytest.mark.spark


def read(config: LakeConfig) -> dict[str, pd.DataFrame]:
    return {name.split("/")[-1]: pq.read_table(config.out / name).to_pandas() for name in TABLES}


def content(config: LakeConfig) -> dict[str, list[str]]:
    tables = {name: pq.read_table(config.out / name).to_pandas() for name in TABLES}
    return {name: sorted(table.astype(str).agg("|".join, axis=1)) for name, table in tables.items()}


def lake_config(folder: Path, *overrides: str, config: Path = DEFAULT) -> LakeConfig:
    return load(config, LakeConfig, [f"out={folder}", *overrides])


@pytest.fixture(scope="module")
def lake(spark, tmp_path_factory):
    """A lake with raised fault shares, its tables, and its clean impressions beside the truth."""
    faults = [f"faults.{name}={share}" for name, share in SHARES.items()]
    config = lake_config(tmp_path_factory.mktemp("lake"), f"impressions={ROWS}", *faults)
    counts = make_lake(spark, config)
    tables = read(config)
    shown = tables["impressions"].dropna().drop_duplicates("impression_id", keep=False)
    clean = shown[shown["slot"] != config.faults.house_slot]
    return SimpleNamespace(config=config, counts=counts, clean=clean, **tables)


@pytest.fixture(scope="module")
def small(spark, tmp_path_factory):
    config = lake_config(tmp_path_factory.mktemp("small"), "impressions=3000")
    make_lake(spark, config)
    return config


def near(found: float, expected: float, rows: int) -> bool:
    """Within five binomial standard errors."""
    return abs(found - expected) <= 5 * (expected * (1 - expected) / rows) ** 0.5


@pytest.mark.slow
def test_content_depends_on_neither_tasks_nor_shuffle_partitions(spark, small, tmp_path):
    again = small.model_copy(update={"out": tmp_path})
    with set_to(spark, {"spark.sql.shuffle.partitions": "5"}):
        make_lake(spark, again, tasks=7)
    assert content(again) == content(small)


def test_another_seed_gives_other_impressions_and_needs_replace(spark, small, tmp_path):
    shutil.copytree(small.out, tmp_path, dirs_exist_ok=True)
    other = small.model_copy(update={"out": tmp_path, "seed": 2})
    with pytest.raises(ConfigError, match="--replace"):
        check_replaceable(other)
    check_replaceable(other.model_copy(update={"seed": small.seed}))
    make_lake(spark, other.model_copy(update={"replace": True}))
    assert content(other)["raw/impressions"] != content(small)["raw/impressions"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "truth"]


def test_shares_and_rates_are_the_declared_ones(lake):
    slots = {slot.slot: slot for slot in lake.config.placements.slots}
    shares = lake.clean["slot"].value_counts(normalize=True)
    assert set(shares.index) == set(slots)
    # Impressions of one session share their focus, so a few standard errors of single draws are not enough.
    for name, slot in slots.items():
        assert shares[name] == pytest.approx(slot.share, rel=0.15, abs=0.004)
    focus = lake.clean["slot"].map(lambda name: slots[name].focus)
    modality = lake.clean["slot"].map(lambda name: slots[name].modality)
    assert (focus == "out").mean() >= 0.70
    assert 7 < (modality == "audio").sum() / (modality == "video").sum() < 11
    p = lake.clean.merge(lake.truth.query("objective == 'click'"), on="impression_id")
    rates = p.groupby(p["slot"].map(lambda name: slots[name].focus))["p"].mean()
    assert rates["in"] / rates["out"] == pytest.approx(10, rel=0.25)
    for name, rate in p.groupby("slot")["p"].mean().items():
        assert rate == pytest.approx(slots[name].rates["click"], rel=0.15)


def test_outcomes_agree_with_the_truth_in_every_slot(lake):
    assert not lake.truth.duplicated(["impression_id", "objective"]).any()
    assert lake.truth.groupby("objective")["impression_id"].nunique().to_dict() == dict.fromkeys(
        lake.config.signal.objectives, ROWS
    )
    assert lake.truth["p"].between(0, 1, inclusive="neither").all()
    happened = lake.outcomes.drop_duplicates(["impression_id", "objective"]).assign(happened=1)
    rows = lake.clean.merge(lake.truth, on="impression_id")
    rows = rows.merge(happened, on=["impression_id", "objective"], how="left", suffixes=("", "_outcome"))
    rows["happened"] = rows["happened"].fillna(0)
    for _, group in rows.groupby(["slot", "objective"]):
        deviation = np.sqrt((group["p"] * (1 - group["p"])).sum())
        assert abs(group["happened"].sum() - group["p"].sum()) <= 4 * deviation + 1


def test_probabilities_tell_more_than_the_rates(lake):
    """What a perfect model gains over one rate a slot: the ground is worth learning on."""
    rows = lake.clean.merge(lake.truth.query("objective == 'click'"), on="impression_id")
    for _, group in rows.groupby(rows["slot"].str.contains("audio|display")):
        p, base = group["p"], group.groupby("slot")["p"].transform("mean")
        entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
        assert entropy < 0.9 * -(p * np.log(base) + (1 - p) * np.log(1 - base)).mean()


def test_faults_come_at_the_declared_shares_and_are_counted(lake):
    outcomes = lake.outcomes
    impressions = lake.impressions
    ids = impressions["impression_id"].dropna()
    copies = impressions[impressions["impression_id"].isin(ids[ids.duplicated()])]
    kinds = copies.groupby("impression_id")["ts"].nunique()
    outcome_rows = len(outcomes.drop_duplicates(["impression_id", "objective"])) - int(
        (outcomes.impression_id >= ROWS).sum()
    )
    found = {
        "duplicates": int((kinds == 1).sum()),
        "conflicts": int((kinds == 2).sum()),
        "null_keys": int(impressions.isna().any(axis=1).sum()),
        "house_ads": int((impressions["slot"] == lake.config.faults.house_slot).sum()),
        "invalid_labels": int((~outcomes["value"].isin([0, 1])).sum()),
        "orphan_outcomes": int((outcomes["impression_id"] >= ROWS).sum()),
        "duplicate_outcomes": int(outcomes.duplicated(["impression_id", "objective"]).sum()),
        "late_contexts": int(((lake.contexts.available_at - lake.contexts.ts) > pd.Timedelta("30min")).sum()),
    }
    assert found == {name: lake.counts["faults"][name] for name in found}
    rows = dict.fromkeys(found, ROWS) | dict.fromkeys(
        ("invalid_labels", "orphan_outcomes", "duplicate_outcomes"), outcome_rows
    )
    rows["late_contexts"] = len(lake.contexts)
    for name, count in found.items():
        assert near(count / rows[name], SHARES[name], rows[name]), name
    assert impressions[["slot", "ts"]].notna().all(axis=None)
    assert lake.counts["rows"]["impressions"] == len(impressions)


def test_late_corrections_put_a_wrong_version_right(lake):
    assert (lake.users["available_at"] >= lake.users["ts"]).all()
    twice = lake.users[lake.users.duplicated(["user_id", "ts"], keep=False)].sort_values("available_at")
    versions = len(lake.users.drop_duplicates(["user_id", "ts"]))
    assert near(twice[["user_id", "ts"]].drop_duplicates().shape[0] / versions, SHARES["late_corrections"], versions)
    pairs = twice.groupby(["user_id", "ts"])
    assert (pairs["listening_hours"].first() != pairs["listening_hours"].last()).mean() > 0.95
    assert (pairs["age_band"].nunique() == 1).all()
    assert (lake.users.groupby("user_id")["ts"].nunique() > 1).any()


def test_outcomes_come_after_their_impression_and_within_their_window(lake):
    sources = load(ROOT / "conf/synthetic.yaml", Config).sources
    rows = lake.outcomes.merge(lake.clean[["impression_id", "ts"]], on="impression_id", suffixes=("", "_shown"))
    delay = (rows["ts"] - rows["ts_shown"]).dt.total_seconds()
    window = rows["objective"].map({name: objective.window_s for name, objective in sources.objectives.items()})
    assert (delay >= 0).all()
    assert (rows["available_at"] >= rows["ts"]).all()
    assert ((rows["available_at"] - rows["ts_shown"]).dt.total_seconds() <= window).all()
    means = delay.groupby(rows["objective"]).mean()
    assert means["click"] < means["stream"] < means["conversion"]
    clicked = set(lake.outcomes.query("objective == 'click'")["impression_id"])
    assert set(rows.query("objective == 'conversion'")["impression_id"]) <= clicked


def test_campaigns_fit_their_targeting_and_flight(lake):
    campaigns = lake.campaigns.drop_duplicates("campaign_id")
    users = lake.users.drop_duplicates("user_id")
    rows = lake.clean.merge(campaigns, on="campaign_id", suffixes=("", "_campaign")).merge(
        users, on="user_id", suffixes=("", "_user")
    )
    assert len(rows) == len(lake.clean)
    assert ((rows["flight_start"] <= rows["ts"]) & (rows["ts"] < rows["flight_end"])).all()
    for targets, value in (("target_markets", "market"), ("target_ages", "age_band")):
        targeted = rows[rows[targets].notna()]
        assert 0 < len(targeted) < len(rows)
        assert all(own in allowed for own, allowed in zip(targeted[value], targeted[targets], strict=True))


def test_every_context_state_holds_at_its_impressions(lake):
    slots = {slot.slot: slot for slot in lake.config.placements.slots}
    assert (lake.contexts["available_at"] >= lake.contexts["ts"]).all()
    state = pd.merge_asof(
        lake.clean.astype({"session_id": "int64"}).sort_values("ts"),
        lake.contexts.sort_values("ts"),
        on="ts",
        by="session_id",
    )
    assert (state["focus"] == state["slot"].map(lambda name: slots[name].focus)).all()
    assert (state["content"] == state["slot"].map(lambda name: slots[name].content)).all()
    assert (lake.contexts.groupby("session_id").size() > 1).any()


def test_the_rest_before_an_ad_is_the_time_since_the_one_before_in_its_session(spark):
    config = load(DEFAULT, LakeConfig)
    rows = impressions(spark.range(300).withColumnRenamed("id", "session_id"), config).toPandas()
    rows = rows.sort_values(["session_id", "_position"])
    gap_s = rows.groupby("session_id")["ts"].diff().dt.total_seconds()
    assert (rows.loc[rows["_position"] == 0, "rest_s"] == RESTED_S).all()
    later = rows["_position"] > 0
    # Times are cut to the millisecond.
    np.testing.assert_allclose(rows.loc[later, "rest_s"], gap_s[later], atol=0.002)
    assert later.sum() > 300


def test_impressions_cover_the_declared_local_days(lake):
    pipeline = load(ROOT / "conf/synthetic.yaml", Config)
    local = lake.clean["ts"].dt.tz_localize("UTC") if lake.clean["ts"].dt.tz is None else lake.clean["ts"]
    found = set(local.dt.tz_convert(ZoneInfo(lake.config.zone)).dt.date)
    first: date = lake.config.first_day
    assert found == {first + timedelta(days=day) for day in range(lake.config.days)}
    assert found == set(pipeline.days.all_days())


def test_catalogue_and_placements_name_the_same_slots(lake):
    catalogue = load(ROOT / "conf/synthetic.yaml", Config).slots
    declared = {
        slot.id: (slot.modality, slot.attribute("content"), slot.attribute("focus")) for slot in catalogue.slots
    }
    assert declared == {s.slot: (s.modality, s.content, s.focus) for s in lake.config.placements.slots}


def test_manifest_says_what_the_lake_is(lake):
    manifest = json.loads((lake.config.layout.raw / "lake.json").read_text())
    assert manifest["identity"] == lake.config.identity()
    assert manifest["rows"] == lake.counts["rows"]
