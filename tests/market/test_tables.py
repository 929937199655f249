"""A market read from its tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from camoe.contracts.errors import InputError
from camoe.market.auction.requests import NONE
from camoe.market.config import Rules
from camoe.market.experiment.tables import read_market

START = datetime(2026, 3, 11, tzinfo=UTC)
RULES = Rules(ticks=4, exposure=(1.0, 0.8))


def write(folder, table, **columns):
    (folder / table).mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / table / "part-0.parquet")


@pytest.fixture
def lake(tmp_path):
    """Three requests, written out of order: two by one user."""
    seconds = [70_000, 10, 30_000]
    write(
        tmp_path,
        "market/requests",
        request_id=[12, 10, 11],
        user_id=["b", "a", "a"],
        session_id=[1, 2, 2],
        ts=pa.array([START + timedelta(seconds=second) for second in seconds]),
        day=[9, 9, 9],
        second=seconds,
        market=["SE", "SE", "DK"],
        focus=["in", "out", "out"],
        slot=["stream_video", "stream_audio", "stream_audio"],
        queue=["video", "audio", "audio"],
        places=[1, 2, 1],
    )
    pairs = {"request_id": [10, 10, 11, 12], "campaign_id": [7, 3, 7, 3]}
    write(tmp_path, "market/candidates", **pairs, rank=[0, 1, 0, 0])
    write(tmp_path, "market_truth", **pairs, click=[0.1, 0.2, 0.3, 0.4])
    write(
        tmp_path,
        "market/campaigns",
        campaign_id=[7, 3],
        campaign_objective=["traffic", "awareness"],
        for_clicks=[True, False],
        bid=[5.0, 0.1],
        daily=[1_000_000, 2_000_000],
        total=[9_000_000, 2_000_000],
        first_day=[0, 9],
        last_day=[9, 9],
        cap=[2, 0],
        markets=[["SE"], ["SE", "DK"]],
        format=["audio", "both"],
    )
    return tmp_path


def predict(path, requests, campaigns, p):
    table = pa.table({"request_id": requests, "campaign_id": campaigns, "objective": ["click"] * len(p), "p": p})
    write_deltalake(str(path), table, mode="overwrite")
    return path


def test_requests_come_in_order_of_time_with_their_candidates_and_predictions(lake):
    path = predict(lake / "model", [12, 11, 10, 10], [3, 7, 3, 7], [0.4, 0.3, 0.2, 0.1])
    market, days = read_market(lake, {"model": path}, RULES)
    offers = list(market.offers())
    assert days == 1
    assert [offer.number for offer in offers] == [0, 1, 2, 3]
    assert [offer.request.tolist() for offer in offers] == [[10], [11], [], [12]]
    assert [offer.user.tolist() for offer in offers] == [[0], [0], [], [1]]
    # Campaigns in order of their ids: 3 is account 0, 7 is account 1.
    assert offers[0].candidate.tolist() == [[1, 0]]
    assert offers[1].candidate.tolist() == [[1, NONE]]
    assert offers[0].truth[0] == pytest.approx([0.1, 0.2])
    assert offers[0].scores["model"][0] == pytest.approx([0.1, 0.2])
    assert offers[0].scores["slot_rate"][0] == pytest.approx([0.2, 0.2])
    cell = market.cells
    assert [(cell.market[at], cell.slot[at]) for at in (offers[0].cell[0], offers[3].cell[0])] == [
        ("SE", "stream_audio"),
        ("SE", "stream_video"),
    ]
    accounts = market.accounts
    assert accounts.bid.tolist() == [0.1, 5.0]
    assert accounts.cap.tolist() == [0, 2]
    shown = {cell.market[at] + " " + cell.slot[at] for at in np.flatnonzero(accounts.targets[1])}
    assert shown == {"SE stream_audio"}
    assert accounts.targets[0].all()
    assert accounts.plan[1].tolist() == [1, 1, 1, 1]


def test_a_model_that_has_not_scored_every_candidate_is_refused(lake):
    path = predict(lake / "model", [12, 11, 10], [3, 7, 3], [0.4, 0.3, 0.2])
    with pytest.raises(InputError, match="model few has 3 rows for the 4 candidates, and none for 1 of them"):
        read_market(lake, {"few": path}, RULES)


def test_pods_longer_than_the_rules_know_are_refused(lake):
    with pytest.raises(InputError, match=r"pods of 2 places, and rules\.exposure is for 1"):
        read_market(lake, {}, Rules(ticks=4))


def test_without_a_market_or_predictions_the_job_that_makes_them_is_named(lake, tmp_path):
    with pytest.raises(InputError, match="make_lake"):
        read_market(tmp_path / "none", {}, RULES)
    with pytest.raises(InputError, match=r"score\.py --input"):
        read_market(lake, {"model": tmp_path / "none"}, RULES)
