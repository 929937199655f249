"""The market: the rules by hand, and everything against a loop over auctions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.market.plain import Sale, plain_market
from bench.market.simulators import ENDLESS, ours
from camoe.market.auction.accounts import plan, split
from camoe.market.auction.requests import NONE, joined
from camoe.market.auction.run import held, overspend
from camoe.market.config import MICROS, Pacing, Rules
from tests.market.markets import accounts_of, random_market, tick_of

FLAT = Pacing(enabled=False)
BY_IMPRESSION = Rules(pacing=FLAT, ticks=1)


def sold(ticks, accounts, rules):
    return joined(list(held(ticks, accounts, rules)))


def as_sales(shown):
    columns = (shown.request, shown.account, shown.position, shown.cost, shown.clicked.astype(bool))
    return [Sale(*row) for row in zip(*[column.tolist() for column in columns], strict=True)]


@given(
    seed=st.integers(0, 10**6),
    charge=st.sampled_from(["impression", "click"]),
    spend=st.sampled_from(["drawn", "expected"]),
    paced=st.booleans(),
    reserve=st.sampled_from([0.0, 20.0, 150.0]),
)
def test_any_market_is_that_of_the_loop_over_auctions(seed, charge, spend, paced, reserve):
    ticks, accounts = random_market(seed)
    rules = Rules(
        charge=charge, spend=spend, reserve=reserve, ticks=4, exposure=(1.0, 0.6), pacing=Pacing(enabled=paced)
    )
    shown = sold(ticks, accounts, rules)
    assert as_sales(shown) == plain_market(ticks, accounts, rules)
    assert overspend(shown, accounts, rules.ticks).prices < 1


def test_the_highest_score_wins_and_pays_the_second():
    # Scores per impression: 5 · .01 = .05, 2 · .04 = .08, 4 · .015 = .06: the second wins and pays the third's.
    shown = sold([tick_of([[0.01, 0.04, 0.015]])], accounts_of([5, 2, 4]), BY_IMPRESSION)
    assert (shown.account.tolist(), shown.cost.tolist()) == ([1], [60_000])
    # Per click it pays what keeps its place, .06 / .04 = 1.5, of which a click in expectation is .04.
    clicks = BY_IMPRESSION.model_copy(update={"charge": "click", "spend": "expected"})
    assert sold([tick_of([[0.01, 0.04, 0.015]])], accounts_of([5, 2, 4]), clicks).cost.tolist() == [60_000]
    # What it really pays follows the truth, not the prediction.
    truth = [[0.01, 0.02, 0.015]]
    assert sold([tick_of([[0.01, 0.04, 0.015]], truth)], accounts_of([5, 2, 4]), clicks).cost.tolist() == [30_000]


def test_a_campaign_for_reach_bids_for_impressions_and_pays_for_them_whatever_others_pay_for():
    accounts = accounts_of([5, 0.07], for_clicks=[True, False])
    for charge in ("impression", "click"):
        rules = BY_IMPRESSION.model_copy(update={"charge": charge})
        shown = sold([tick_of([[0.01, 1.0]], [[0.01, 0.5]])], accounts, rules)
        assert (shown.account.tolist(), shown.cost.tolist()) == ([1], [50_000])


def test_a_pod_sells_its_places_in_order_each_for_the_next_score():
    tick = tick_of([[0.01, 0.04, 0.015]] * 2, pod=[2, 3])
    rules = BY_IMPRESSION.model_copy(update={"exposure": (1.0, 0.5, 0.25)})
    shown = sold([tick], accounts_of([5, 2, 4]), rules)
    assert shown.account.tolist() == [1, 2, 1, 2, 0]
    assert shown.cost.tolist() == [60_000, 50_000, 60_000, 50_000, 0]
    assert shown.expected.tolist() == pytest.approx([0.04, 0.0075, 0.04, 0.0075, 0.0025])


def test_below_the_reserve_nothing_is_sold_and_alone_one_pays_the_reserve():
    rules = BY_IMPRESSION.model_copy(update={"reserve": 70.0})
    shown = sold([tick_of([[0.01, 0.04], [0.01, 0.03]])], accounts_of([5, 2]), rules)
    assert (shown.request.tolist(), shown.cost.tolist()) == ([0], [70_000])


def test_of_equal_scores_the_candidate_listed_first_wins_and_pays_its_own():
    tick = tick_of([[0.02, 0.02]] * 2, candidate=[[0, 1], [1, 0]])
    shown = sold([tick], accounts_of([3, 3]), BY_IMPRESSION)
    assert (shown.account.tolist(), shown.cost.tolist()) == ([0, 1], [60_000, 60_000])


def test_within_a_tick_a_budget_ends_with_the_impression_that_spends_the_last_of_it():
    # The first account pays .05 for each impression: after two its .08 are spent, the third and fourth go to the next.
    shown = sold([tick_of([[0.02, 0.01]] * 4)], accounts_of([5, 5], daily=[0.08, 9]), BY_IMPRESSION)
    assert shown.account.tolist() == [0, 0, 1, 1]
    assert shown.cost.tolist() == [50_000, 50_000, 0, 0]
    found = overspend(shown, accounts_of([5, 5], daily=[0.08, 9]), ticks=1)
    assert (found.days, found.prices) == (1, pytest.approx(0.4))


def test_a_daily_budget_is_whole_again_on_the_next_day_and_a_total_one_is_not():
    days = [tick_of([[0.02, 0.01]] * 2, day=day, request=[2 * day, 2 * day + 1]) for day in range(3)]
    daily = sold(days, accounts_of([5, 5], daily=[0.05, 9]), BY_IMPRESSION)
    assert daily.account.tolist() == [0, 1] * 3
    total = sold(days, accounts_of([5, 5], total=[0.15, 9]), BY_IMPRESSION)
    assert total.account.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_cap_holds_within_a_tick_for_each_user_and_begins_anew_on_the_next_day():
    ticks = [tick_of([[0.02, 0.01]] * 4, user=[7, 7, 8, 7], day=day) for day in range(2)]
    shown = sold(ticks, accounts_of([5, 5], cap=[1, 0]), BY_IMPRESSION)
    assert shown.account.tolist() == [0, 1, 0, 1] * 2
    # The capped campaign does not set the price either.
    assert shown.cost.tolist() == [50_000, 0, 50_000, 0] * 2


def test_out_of_its_flight_or_its_cells_a_campaign_neither_wins_nor_sets_a_price():
    accounts = accounts_of([5, 5, 5], cells=2, first_day=[1, 0, 0], targets=[[True, True], [True, True], [False, True]])
    ticks = [tick_of([[0.03, 0.02, 0.01]] * 2, day=day, cell=[0, 1]) for day in range(2)]
    shown = sold(ticks, accounts, BY_IMPRESSION)
    assert shown.account.tolist() == [1, 1, 0, 0]
    assert shown.cost.tolist() == [0, 50_000, 100_000, 100_000]


def test_a_request_without_a_candidate_sells_nothing():
    shown = sold([tick_of([[0.5, 0.5]], candidate=[[NONE, NONE]])], accounts_of([5, 5]), BY_IMPRESSION)
    assert len(shown.request) == 0


def test_pacing_spends_like_the_traffic_and_not_evenly_or_at_once():
    traffic = np.array([[1.0, 1, 1, 5, 9, 5, 2, 1] * 12])
    accounts = accounts_of([5, 5, 5], ticks=96, daily=[10, 10, 10])
    accounts = replace(accounts, plan=plan(accounts.targets, traffic))
    random = np.random.default_rng(1)
    ticks, request = [], 0
    for day in range(3):
        for number, volume in enumerate((traffic[0] * 8).astype(int)):
            p = 0.02 * np.exp(0.3 * random.standard_normal((volume, 3)))
            ticks.append(tick_of(p, day=day, number=number, request=np.arange(request, request + volume)))
            request += volume
    rules = Rules(ticks=96)
    shown = sold(ticks, accounts, rules)
    last = shown.tick // 96 == 2
    spent = np.bincount(shown.tick[last] % 96, weights=shown.cost[last], minlength=96) / MICROS
    assert spent.sum() == pytest.approx(30, rel=0.05)
    planned = accounts.plan[0] * 30
    assert np.abs(np.cumsum(spent) - planned).max() < 3
    assert overspend(shown, accounts, 96).prices < 1
    # Without pacing the money is gone before the evening.
    at_once = sold(ticks, accounts, rules.model_copy(update={"pacing": FLAT}))
    gone = np.bincount(at_once.tick % 96, weights=at_once.cost, minlength=96)
    assert gone[72:].sum() < 0.05 * gone.sum()


def test_a_share_of_an_account_has_that_share_of_its_budgets():
    whole = accounts_of([5, 2], daily=[10, 3], total=[100, 9])
    parts = split(whole, (0.5, 0.25))
    assert parts.campaign.tolist() == [0, 1, 0, 1]
    assert (parts.daily / MICROS).tolist() == [5, 1.5, 2.5, 0.75]
    assert (parts.total / MICROS).tolist() == [50, 4.5, 25, 2.25]


def test_what_is_held_beside_open_simulators_is_right_on_a_market_worked_out_by_hand():
    score, endless = np.array([[5, 3, 1], [4, 6, 2], [7, 1, 2]]), np.full(3, ENDLESS)
    # Request, place, campaign, price: the second request has two places, the second of which costs what the third bids.
    assert ours(score, endless, np.array([1, 2, 1])) == [(0, 0, 0, 3), (1, 0, 1, 4), (1, 1, 0, 2), (2, 0, 0, 2)]
    # The first campaign's 3 are spent by the first request, so the others sell to each other.
    spent = np.array([3, ENDLESS, ENDLESS])
    assert ours(score, spent, np.array([1, 1, 1])) == [(0, 0, 0, 3), (1, 0, 1, 2), (2, 0, 2, 1)]
