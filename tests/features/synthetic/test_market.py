"""The market side of a synthetic lake: requests, candidates that fit, money, and the truth of each candidate."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.synthetic.lake import make_lake
from tests.features.synthetic.lakes import config
from tests.sparks import set_to

TABLES = ("market/requests", "market/candidates", "market/campaigns", "market_truth", "raw/contexts", "raw/impressions")
SIZE = ("impressions=4000", "market.requests=1500", "days=6", "market.days=2")

pytestmark = pytest.mark.spark


def read(folder: Path) -> dict[str, pd.DataFrame]:
    return {name.split("/")[-1]: pq.read_table(folder / name).to_pandas() for name in TABLES}


@pytest.fixture(scope="module")
def made(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("market")
    chosen = config("market", f"out={folder}", *SIZE)
    counts = make_lake(spark, chosen, tasks=2)
    return SimpleNamespace(config=chosen, counts=counts, **read(folder))


@pytest.mark.slow
def test_the_same_seed_makes_the_same_market_in_any_number_of_tasks(spark, made, tmp_path):
    with set_to(spark, {"spark.sql.shuffle.partitions": "3"}):
        make_lake(spark, config("market", f"out={tmp_path}", *SIZE), tasks=3)
    again = read(tmp_path)
    for name, table in again.items():
        one, other = (sorted(each.astype(str).agg("|".join, axis=1)) for each in (table, getattr(made, name)))
        assert one == other, name


def test_requests_are_of_the_markets_days_and_queues(made):
    requests = made.requests
    assert len(requests) == 1500
    assert set(requests["day"]) == {4, 5}
    assert set(zip(requests["focus"], requests["queue"], strict=True)) == {("in", "video"), ("out", "audio")}
    queue = {slot.slot: slot.modality for slot in made.config.placements.slots}
    assert (requests["slot"].map(queue) == requests["queue"]).all()
    assert requests["market"].nunique() > 12
    assert set(requests["places"]) == {1, 2}
    # No request has the id of an impression, and its context is in the log.
    assert not set(requests["request_id"]) & set(made.impressions["impression_id"].dropna())
    assert set(requests["session_id"]) <= set(made.contexts["session_id"])
    assert made.counts["rows"]["market_requests"] == 1500


def test_markets_have_days_of_their_own(made):
    hours = made.requests.assign(hour=made.requests["second"] // 3600).groupby("market")["hour"].median()
    # Sweden has the lake's clock; India's day lies twenty hours later on it.
    assert abs(hours["US"] - hours["GB"]) > 2


def test_candidates_fit_and_are_listed_once(made):
    candidates = made.candidates
    assert not candidates.duplicated(["request_id", "campaign_id"]).any()
    assert candidates.groupby("request_id").size().max() <= made.config.market.candidates
    ranks = candidates.sort_values(["request_id", "rank"]).groupby("request_id")["rank"]
    assert (ranks.cumcount() == candidates.sort_values(["request_id", "rank"])["rank"]).all()
    rows = candidates.merge(made.requests, on="request_id", suffixes=("", "_asked")).merge(
        made.campaigns, on="campaign_id"
    )
    assert ((rows["first_day"] <= rows["day"]) & (rows["day"] <= rows["last_day"])).all()
    assert all(market in markets for market, markets in zip(rows["market"], rows["markets"], strict=True))
    assert ((rows["format"] == rows["queue"]) | (rows["format"] == "both")).all()
    assert (rows["user_id"] == rows["user_id_asked"]).all()


def test_the_truth_lies_apart_and_has_each_candidate_once(made):
    truth = made.market_truth
    assert set(made.candidates.columns).isdisjoint(made.config.signal.objectives)
    keys = ["request_id", "campaign_id"]
    assert len(truth) == len(made.candidates)
    assert len(made.candidates.merge(truth, on=keys)) == len(truth)
    by_queue = truth.merge(made.requests, on="request_id").groupby("queue")["click"].mean()
    # As the slots' declared rates have it: about ten times in focus.
    assert 4 < by_queue["video"] / by_queue["audio"] < 20
    # A conversion comes of a click.
    assert (truth["conversion"] < truth["click"]).all()


def test_campaigns_have_money(made):
    campaigns = made.campaigns
    market = made.config.market
    expected = market.budget * market.requests / market.days * 1e6
    assert campaigns["daily"].sum() == pytest.approx(expected, rel=0.6)
    assert (campaigns["total"] >= campaigns["daily"]).all()
    assert (campaigns["for_clicks"] == (campaigns["campaign_objective"] != "awareness")).all()
    assert set(campaigns["cap"]) == {0, 2, 4}
    per_click, per_impression = (campaigns[campaigns["for_clicks"] == kind]["bid"].mean() for kind in (True, False))
    assert per_impression / per_click == pytest.approx(market.reach_bid, rel=0.5)
    assert np.isfinite(campaigns["bid"]).all()


def test_a_lake_without_a_market_has_none(made, tmp_path):
    assert config("default").market is None
    assert "market_requests" in made.counts["rows"]
