"""A market read from its tables."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from bench.market.world import world
from camoe.contracts.errors import InputError
from camoe.market.auction.requests import NONE
from camoe.market.config import Outcomes, Rules, SimulationConfig
from camoe.market.experiment import candidates
from camoe.market.experiment.tables import read_market
from tests.market.written import write_market

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
    made = {"objective": ["click"] * len(p), "p": p, "slot": ["a", "b/c ä"] * (len(p) // 2) + ["a"] * (len(p) % 2)}
    table = pa.table({"request_id": requests, "campaign_id": campaigns, **made, "model_version": ["1f"] * len(p)})
    # In folders, as the scoring job writes them.
    write_deltalake(str(path), table, mode="overwrite", partition_by=["slot", "model_version"])
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


def test_two_candidates_of_a_request_with_one_rank_are_refused(lake):
    pairs = {"request_id": [10, 10, 11, 12], "campaign_id": [7, 3, 7, 3]}
    write(lake, "market/candidates", **pairs, rank=[0, 0, 0, 0])
    with pytest.raises(InputError, match="two candidates of a request have one rank"):
        read_market(lake, {}, RULES)


def test_a_market_without_requests_is_refused(lake):
    path = lake / "market/requests/part-0.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(InputError, match="has no requests"):
        read_market(lake, {}, RULES)


def test_campaigns_may_have_names(lake):
    for table in ("market/candidates", "market_truth", "market/campaigns"):
        path = lake / table / "part-0.parquet"
        rows = pq.read_table(path)
        names = pa.array([f"c{campaign}" for campaign in rows["campaign_id"].to_pylist()])
        pq.write_table(rows.set_column(rows.schema.get_field_index("campaign_id"), "campaign_id", names), path)
    path = predict(lake / "model", [12, 11, 10, 10], ["c3", "c7", "c3", "c7"], [0.4, 0.3, 0.2, 0.1])
    first = next(iter(read_market(lake, {"model": path}, RULES)[0].offers()))
    assert first.candidate.tolist() == [[1, 0]]
    assert first.scores["model"][0] == pytest.approx([0.1, 0.2])


def test_candidates_do_not_fill_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(candidates, "BATCH", 1_000)
    rules = Rules(ticks=96)
    models = write_market(tmp_path, world(1, requests=6_000, users=800, campaigns=200, candidates=60, rules=rules))
    tracemalloc.start()
    market, _ = read_market(tmp_path, models, rules)
    offered = sum(offer.candidate.size for offer in market.offers())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert offered == 6_000 * 60
    # A campaign, the truth and two predictions of 4 bytes each, were they all held, are 16 bytes a candidate.
    assert peak < 16 * offered / 2, peak


@pytest.fixture
def stood_in(lake):
    """Predictions of a model that stands for the truth, and its bundle, which learned from 10 to 13 March."""
    keys = {"request_id": [12, 11, 10, 10], "campaign_id": [3, 7, 3, 7]}
    made = {"objective": ["click"] * 4, "p": [0.9, 0.8, 0.7, 0.6], "model_version": ["1f"] * 4}
    table = pa.table({**keys, **made, "date": ["2026-03-14"] * 4})
    write_deltalake(str(lake / "stand_in"), table, partition_by=["date", "model_version"])
    days = {"train": ("2026-03-10", "2026-03-12"), "validation": ("2026-03-13",) * 2, "test": ("2026-03-14",) * 2}
    settings = {"days": {name: {"first": first, "last": last} for name, (first, last) in days.items()}}
    bundle = lake / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps(settings))
    (bundle / "manifest.json").write_text(json.dumps({"model_version": "1f"}))
    return Outcomes(predictions=lake / "stand_in", bundle=bundle)


def test_of_a_table_with_predictions_of_two_models_one_is_named(lake, stood_in):
    first = pa.table(DeltaTable(str(stood_in.predictions)).to_pyarrow_table())
    other = first.set_column(first.column_names.index("model_version"), "model_version", pa.array(["2e"] * 4))
    other = other.set_column(other.column_names.index("p"), "p", pa.array([0.1] * 4))
    write_deltalake(str(stood_in.predictions), other, mode="append")
    models = {"new": stood_in.predictions, "old": stood_in.predictions}
    market, _ = read_market(lake, models, RULES, versions={"new": "2e", "old": "1f"})
    scores = next(iter(market.offers())).scores
    assert scores["new"][0] == pytest.approx([0.1, 0.1])
    assert scores["old"][0] == pytest.approx([0.6, 0.7])
    with pytest.raises(InputError, match=r"predictions of the models 1f, 2e; say which is meant by versions.new="):
        read_market(lake, models, RULES)
    with pytest.raises(InputError, match=r"models 1f, 2e, and none of 3d, which versions.new names"):
        read_market(lake, models, RULES, versions={"new": "3d", "old": "1f"})
    chosen = {"market": lake, "out": lake, "experiment": {"control": "slot_rate", "treated": "oracle"}}
    with pytest.raises(ValueError, match="versions: no model 'newer'"):
        SimulationConfig(**chosen, models=models, versions={"newer": "1f"})


def test_a_model_of_other_days_may_stand_for_the_truth(lake, stood_in):
    market, _ = read_market(lake, {}, RULES, stood_in)
    assert market.stand_in == "model 1f, which learned from 2026-03-10 to 2026-03-13"
    assert next(iter(market.offers())).truth[0] == pytest.approx([0.6, 0.7])


def test_a_model_that_learned_from_the_day_is_no_truth_of_it(lake, stood_in):
    settings = stood_in.bundle / "config.json"
    days = json.loads(settings.read_text())["days"]
    days |= {"validation": days["test"], "test": {"first": "2026-03-15", "last": "2026-03-15"}}
    settings.write_text(json.dumps({"days": days}))
    with pytest.raises(InputError, match="model 1f stands for the truth on 2026-03-14, a day that it learned from"):
        read_market(lake, {}, RULES, stood_in)


def test_predictions_of_another_model_than_the_bundle_are_no_truth(lake, stood_in):
    (stood_in.bundle / "manifest.json").write_text(json.dumps({"model_version": "2e"}))
    with pytest.raises(InputError, match=r"has predictions of 1f, and .*bundle is model 2e"):
        read_market(lake, {}, RULES, stood_in)
    (stood_in.bundle / "manifest.json").unlink()
    with pytest.raises(InputError, match="cannot read the bundle"):
        read_market(lake, {}, RULES, stood_in)
