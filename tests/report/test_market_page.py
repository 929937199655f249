"""The page of a market experiment: all its tables from one document, and nothing undefined on it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.market import result
from bench.market.world import world
from camoe.market.config import ExperimentConfig
from camoe.market.experiment.document import document
from camoe.market.experiment.run import control_alone, run
from camoe.report.market_page import render_market, write_market_report
from camoe.report.text import DASH

CHOSEN = ExperimentConfig(control="poor", treated="good", buckets=40, repeats=100, wanted=0.05)


@pytest.fixture(scope="module")
def found():
    market = world(1, requests=6_000, users=1_000)
    return document(market, run(market, CHOSEN, control_alone(market, CHOSEN)), CHOSEN, days=1)


def test_the_document_is_plain_and_agrees_with_itself(found):
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {(row["queue"], row["rate"]) for row in found["result"]} == {
        (queue, rate) for queue in ("audio", "video") for rate in ("ctr", "ecpc", "ecpm")
    }
    truth = {row["queue"]: row["changes"] for row in found["designs"]["whole"] if row["outcome"] == "expected"}
    for row in found["result"]:
        assert row["truth"] == truth[row["queue"]][row["rate"]]
        assert row["interval"][0] <= row["change"] <= row["interval"][1]
        low, high = row["truth_interval"]
        assert low <= row["truth"] <= high
        # The same users are in both worlds.
        assert high - low < (row["interval"][1] - row["interval"][0]) / 2
        assert row["p_holm"] >= row["p"]
    for rows in found["designs"].values():
        for row in rows:
            for rates in row["rates"]:
                assert rates["ecpc"] * 1000 * rates["ctr"] == pytest.approx(rates["ecpm"])
    assert [row["size"] for row in found["sizes"]] == [1, 2, 3, 4, 5]
    assert sum(found["planned"]) == pytest.approx(1)


def test_the_page_names_the_charge_and_shows_published_figures_beside_its_own(found, tmp_path):
    page = write_market_report(found, tmp_path / "deep" / "page")
    html = page.read_text(encoding="utf-8")
    captions = html.split("</table></div>\n")[1:]
    assert len(captions) == html.count("<table>") == 5
    assert all(caption.startswith('<p class="soft">Charged per impression.') for caption in captions)
    assert "-8.0 %" in html
    assert "+1.4 %" in html
    assert html.count("<img src=") == 6
    assert "nan" not in html.lower().replace("finance", "")
    assert json.loads((page.parent / "market.json").read_text()) == found


def test_what_is_undefined_is_a_dash(found):
    nothing = {**found, "result": [{**row, "p": None, "interval": None, "change": None} for row in found["result"]]}
    assert f"<td>{DASH}</td>" in render_market(nothing)


def test_the_table_as_published_has_a_row_a_queue_with_the_whole_market_before_the_split(found):
    cells = [row.strip("| ").split(" | ") for row in result.rows(found, 7)]
    assert [row[:3] for row in cells] == [["poor", queue, "7"] for queue in found["queues"]]
    assert {len(row) for row in cells} == {len(result.COLUMNS)}
    of = {(row["queue"], row["rate"]): row for row in found["result"] if row["outcome"] == "expected"}
    audio = of["audio", "ctr"]
    assert cells[found["queues"].index("audio")][3] == f"{100 * audio['truth']:+.1f} %"
    assert cells[found["queues"].index("audio")][9] == f"{100 * audio['change']:+.1f} %"


def test_a_market_of_few_requests_and_campaigns_has_a_page_of_what_is_defined():
    few = world(1, requests=40, users=8, campaigns=3, markets=1, candidates=3)
    chosen = CHOSEN.model_copy(update={"control": "slot_rate", "treated": "oracle"})
    kept = [replace(offer, scores=offer.scores | {"slot_rate": offer.truth * 0 + 0.05}) for offer in few.offers()]
    market = replace(few, offers=lambda: iter(kept))
    made = document(market, run(market, chosen, control_alone(market, chosen)), chosen, days=1)
    assert json.loads(json.dumps(made, allow_nan=False)) == made
    assert [row["size"] for row in made["sizes"]] == [1, 2, 4]
    assert DASH in render_market(made)


def test_a_replayed_log_says_whose_clicks_these_are(found):
    replayed = {**found, "run": {**found["run"], "stand_in": "model 1f, which learned from 2022-04-24 to 2022-04-28"}}
    html = render_market(replayed)
    assert "clicks are drawn by what model 1f, which learned from 2022-04-24 to 2022-04-28,\npredicts" in html
    assert "the market, its users and its campaigns are made up" not in html
    assert "the market, its users and its campaigns are made up" in render_market(found)
