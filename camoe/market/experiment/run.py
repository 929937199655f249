"""The designs of an experiment side by side: the whole market, the split of budgets, and users alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from camoe.market.auction.accounts import Accounts, split
from camoe.market.auction.requests import Shown
from camoe.market.auction.run import overspend, spent_out
from camoe.market.config import ExperimentConfig, Rules
from camoe.market.draws import Bools, Floats, Ints
from camoe.market.experiment.counted import Counted, counted, market_of
from camoe.market.experiment.measures import Asked, Side, asked
from camoe.market.experiment.offers import Arms, Cells, Offers, whole, with_arms
from camoe.market.experiment.significance import sample_ratio

DESIGNS = ("whole", "split", "shared", "a_a")


@dataclass(frozen=True, eq=False)
class Market:
    """Campaigns (accounts 0 to n - 1), what is asked for, cell names, and the rules.

    `stand_in` names what stands for the truth, empty where it is the truth itself.
    """

    accounts: Accounts
    offers: Offers
    cells: Cells
    rules: Rules
    stand_in: str = ""


@dataclass(frozen=True, eq=False)
class Found:
    """Each design's sums, and the p-value of the sample ratio of users."""

    designs: Mapping[str, Counted]
    users: tuple[int, int]
    sample_ratio: float


@dataclass(frozen=True, eq=False)
class Control:
    """Control's market alone: what is asked for, what is shown, and the sums of `Counted.users` of its arm."""

    question: Asked
    side: Side
    users: Floats


def control_alone(market: Market, chosen: ExperimentConfig) -> Control:
    """Hold control's market, from which the power of the experiment is foreseen."""
    question = asked(market.offers, chosen.control)
    side = _world(market, question, chosen.control)
    return Control(question, side, counted((side, side), (), market.cells, market.rules, chosen.buckets).users[0])


def run(market: Market, chosen: ExperimentConfig, control: Control, designs: tuple[str, ...] = DESIGNS) -> Found:
    """Hold the market in each of `designs`, beside `control` alone.

    `whole`: all users see control, and in another world all see the treated model. `split`: each arm has its share of
    each budget. `shared`: both arms spend the same budgets. `a_a`: as `split`, but both see control, by another hash.
    """
    arms = Arms(chosen.salt, chosen.share)
    found = {design: _design(design, market, control, chosen) for design in designs}
    of_users = arms.of(np.unique(control.question.user))
    return Found(found, _two(of_users), sample_ratio(of_users, chosen.share))


def whole_market(market: Market, question: Asked, models: tuple[str, str], buckets: int) -> Counted:
    """Count a market in which all see the first model, beside one in which all see the second."""
    first, second = (_world(market, question, model) for model in models)
    return _beside(market, first, second, buckets)


def _beside(market: Market, first: Side, second: Side, buckets: int) -> Counted:
    over = tuple(overspend(side.shown, side.accounts, market.rules.ticks) for side in (first, second))
    return counted((first, second), over, market.cells, market.rules, buckets)


def two_arms(
    market: Market, question: Asked, models: tuple[str, str], arms: Arms, buckets: int, *, budgets_split: bool
) -> Counted:
    """Count a market in which each arm sees its model, with budgets split or shared."""
    shares = (1 - arms.share, arms.share)
    accounts = split(market.accounts, shares) if budgets_split else market.accounts
    ticks = with_arms(market.offers, market.accounts, models, arms, split=budgets_split)
    shown = market_of(ticks, accounts, market.rules)
    of_asked, of_shown = arms.of(question.user), arms.of(shown.user)
    fixed = spent_out(shown, accounts, market.rules.ticks)
    control, treated = (
        Side(
            _requests(question, of_asked == arm), _impressions(shown, of_shown == arm), fixed[of_shown == arm], accounts
        )
        for arm in (0, 1)
    )
    over = (overspend(shown, accounts, market.rules.ticks),)
    return counted((control, treated), over, market.cells, market.rules, buckets)


def _world(market: Market, question: Asked, model: str) -> Side:
    accounts = market.accounts
    shown = market_of(whole(market.offers, accounts, model), accounts, market.rules)
    return Side(question, shown, spent_out(shown, accounts, market.rules.ticks), accounts)


def _design(design: str, market: Market, control: Control, chosen: ExperimentConfig) -> Counted:
    models = (chosen.control, chosen.treated)
    if design == "whole":
        treated = _world(market, control.question, chosen.treated)
        return _beside(market, control.side, treated, chosen.buckets)
    salt = chosen.salt
    if design == "a_a":
        models, salt = (chosen.control, chosen.control), f"{salt} a/a"
    arms = Arms(salt, chosen.share)
    return two_arms(market, control.question, models, arms, chosen.buckets, budgets_split=design != "shared")


def _requests(question: Asked, of: Bools) -> Asked:
    return Asked(question.user[of], question.cell[of], question.covariate[of])


def _impressions(shown: Shown, of: Bools) -> Shown:
    return replace(shown, **{name: values[of] for name, values in vars(shown).items()})


def _two(arms: Ints) -> tuple[int, int]:
    treated = int(arms.sum())
    return len(arms) - treated, treated
