"""Declared shares: what an epoch is, how often rows come, and how exact the shares are."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from camoe.contracts.errors import StreamError
from camoe.stream.planning.mixing import Shares, epoch_rows
from camoe.stream.planning.plan import make_plan
from tests.stream.plans import all_rows, delivered, names, plans, snapshot_of

HALVES = Shares(by="modality", of={"m0": 0.5, "m1": 0.5})
TABLE = snapshot_of([(0, day, [90, 60]) for day in range(3)] + [(1, 0, [25, 5]), (3, 1, [20])])


def plan_of(mixing, batch_size=40):
    return make_plan(TABLE, seed=1, epoch=0, batch_size=batch_size, lanes=3, mixing=mixing)


def strata(plan):
    return {stratum.name: stratum for stratum in plan.strata}


@pytest.mark.lengthy
@settings(max_examples=60, deadline=None)
@given(plans(st.just(True)), st.integers(1, 16))
def test_each_row_comes_as_often_as_its_stratum_has_passes(plan, workers):
    by = plan.mixing.by
    seen = delivered(plan, workers)
    assert seen.total() == plan.rows == sum(stratum.epoch_rows for stratum in plan.strata)
    assert seen.keys() == all_rows(plan.snapshot).keys()
    for row, times in seen.items():
        stratum = strata(plan)[getattr(plan.snapshot.files[row[0]], by)]
        whole, rest = divmod(stratum.epoch_rows, stratum.rows)
        assert whole <= times <= whole + (rest > 0)
    assert min(stratum.epoch_rows / stratum.rows for stratum in plan.strata) == 1


@settings(max_examples=60, deadline=None)
@given(plans(st.just(True)))
def test_the_passes_of_a_stratum_come_one_after_the_other(plan):
    """Row names of a stratum in batch order: each stretch as long as the stratum holds every row of it once."""
    order = {stratum.name: [] for stratum in plan.strata}
    for step in range(plan.steps):
        takes = sorted(plan.batch(step), key=lambda take: take.cycle)
        for take in takes:
            order[plan.strata[take.stratum].name].extend(names(plan, [take]))
    for name, rows in order.items():
        size = strata(plan)[name].rows
        for start in range(0, len(rows), size):
            stretch = rows[start : start + size]
            assert len(set(stretch)) == len(stretch)


def test_half_and_half_by_modality_holds_in_every_batch():
    plan = plan_of(HALVES)
    for step in range(plan.steps - 1):
        found = Counter(TABLE.files[file].modality for file, _, _ in names(plan, plan.batch(step)))
        assert found == {"m0": 20, "m1": 20}


def test_within_a_modality_the_slots_keep_their_proportion():
    plan = plan_of(HALVES)
    found = Counter(TABLE.files[file].slot for step in range(4) for file, _, _ in names(plan, plan.batch(step)))
    assert found["s0"] == 80
    assert abs(found["s1"] - 48) <= 1


def test_the_relatively_largest_stratum_comes_once_and_the_other_repeats():
    plan = plan_of(HALVES)
    assert (strata(plan)["m0"].rows, strata(plan)["m0"].epoch_rows) == (450, 450)
    assert (strata(plan)["m1"].rows, strata(plan)["m1"].epoch_rows) == (50, 450)
    seen = delivered(plan, 3)
    assert {times for (file, _, _), times in seen.items() if TABLE.files[file].modality == "m1"} == {9}


def test_repeated_passes_have_orders_of_their_own():
    plan = plan_of(HALVES, batch_size=100)
    orders = [
        tuple(row for row in names(plan, plan.batch(step)) if TABLE.files[row[0]].modality == "m1")
        for step in range(plan.steps)
    ]
    assert len(set(orders)) == plan.steps
    assert len({frozenset(order) for order in orders}) == 1


def test_only_the_relation_of_the_numbers_counts():
    assert plan_of(Shares(by="modality", of={"m0": 7, "m1": 7})).rows == plan_of(HALVES).rows


@pytest.mark.parametrize("shares", [{"m0": 1}, {"m0": 1, "m1": 1, "m2": 1}])
def test_shares_must_name_exactly_what_has_rows(shares):
    with pytest.raises(StreamError, match="the rows of these days are of modality m0, m1"):
        plan_of(Shares(by="modality", of=shares))


@pytest.mark.parametrize("share", [0, -1, float("inf"), float("nan")])
def test_a_share_is_a_positive_number(share):
    with pytest.raises(ValidationError):
        Shares(by="slot", of={"s0": share})


def test_decimal_shares_are_exact():
    """0.1 and 0.3 as binary numbers are not in a relation of 1 to 3."""
    rows = {"a": 10**12, "b": 3 * 10**12}
    assert epoch_rows(Shares(by="slot", of={"a": 0.1, "b": 0.3}), rows) == rows
