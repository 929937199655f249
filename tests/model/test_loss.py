"""The three normalisers of the loss, and that parts of a batch add up to the batch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camoe.contracts.heads import HeadSet
from camoe.model.loss import head_losses, make_masking, make_normaliser, masked_loss, targets
from camoe.stream.planning.mixing import Shares
from camoe.stream.planning.plan import make_plan
from camoe.stream.planning.slot_shares import slot_shares
from tests.model.specs import HEADS, SLOTS
from tests.stream.plans import snapshot_of

KINDS = ("head", "batch", "expected")
OBJECTIVES = HeadSet(
    heads=[
        {"name": "audio", "objective": "click", "where": {"modality": ["audio"]}},
        {"name": "video", "objective": "click", "where": {"modality": ["video"]}, "weight": 3.0},
        {"name": "completion", "objective": "completion", "where": {"slot": ["b", "v"]}, "weight": 0.5},
    ]
)
# Shares of the slots a, b and v of a plan.
SHARE = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)


def loss_of(logits, labels, slot, kind, batch=None, heads=OBJECTIVES):
    """This part's loss; `batch` is (labels, slot) of the whole batch when it is not the part itself."""
    masking = make_masking(heads, SLOTS, adaptive=True)
    whole_labels, whole_slot = batch or (labels, slot)
    count = targets(masking, whole_labels, whole_slot)[1].sum(dim=0).double()
    n = make_normaliser(kind, masking, SHARE)(count, torch.tensor(float(len(whole_slot))))
    return masked_loss(head_losses(logits, *targets(masking, labels, slot)), masking.weight, n)


def by_hand(logits, labels, slot, kind):
    """Row by row in plain numpy."""
    total = 0.0
    owns = {0: (0, 1), 1: (2,), 2: (1, 2)}
    column, weight = {0: 0, 1: 0, 2: 1}, {0: 1.0, 1: 3.0, 2: 0.5}
    share = {0: 0.9, 1: 0.1, 2: 0.4}
    for head in range(3):
        rows = [row for row in range(len(slot)) if slot[row] in owns[head] and labels[row, column[head]] >= 0]
        n = {"head": len(rows), "batch": len(slot), "expected": share[head] * len(slot)}[kind]
        for row in rows:
            sign = 1 if labels[row, column[head]] == 1 else -1
            total += weight[head] * np.log1p(np.exp(-sign * logits[row, head])) / n
    return total


def batch_of(rows, seed, slots=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(-1, 2, (rows, 2), generator=generator)
    slot = torch.randint(0, slots, (rows,), generator=generator)
    return torch.randn(rows, 3, generator=generator, dtype=torch.float64), labels, slot


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 30), st.integers(0, 999), st.sampled_from(KINDS))
def test_the_loss_is_the_written_sum(rows, seed, kind):
    logits, labels, slot = batch_of(rows, seed)
    expected = by_hand(logits.numpy(), labels.numpy(), slot.numpy(), kind)
    np.testing.assert_allclose(loss_of(logits, labels, slot, kind).item(), expected, rtol=1e-12, atol=1e-15)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=5), st.integers(0, 999), st.sampled_from(KINDS))
def test_the_workers_parts_add_up_to_the_batch(sizes, seed, kind):
    logits, labels, slot = batch_of(sum(sizes), seed)
    whole = logits.clone().requires_grad_()
    loss_of(whole, labels, slot, kind).backward()
    parts = logits.clone().requires_grad_()
    cuts = np.cumsum([0, *sizes])
    for start, stop in itertools.pairwise(cuts):
        own = slice(start, stop)
        loss_of(parts[own], labels[own], slot[own], kind, batch=(labels, slot)).backward()
    np.testing.assert_allclose(parts.grad, whole.grad, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_that_is_not_known_is_masked_for_its_objective_only(kind):
    logits, _, slot = batch_of(1, seed=1)
    slot[0] = 2
    for labels, learns in (([1, -1], [False, True, False]), ([-1, 0], [False, False, True])):
        own = logits.clone().requires_grad_()
        loss_of(own, torch.tensor([labels]), slot, kind).backward()
        assert (own.grad[0] != 0).tolist() == learns


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_without_rows_contributes_exactly_nothing(kind):
    logits, labels, slot = batch_of(20, seed=3, slots=1)
    logits.requires_grad_()
    loss_of(logits, labels, slot, kind).backward()
    assert torch.count_nonzero(logits.grad[:, 1:]) == 0
    assert torch.count_nonzero(logits.grad[:, 0]) > 0


def epoch(kind, groups, batch_size):
    """Mean step of an epoch of batches, weighted by rows, against the step over all rows at once."""
    plan = make_plan(snapshot_of(groups), seed=1, epoch=0, batch_size=batch_size, lanes=2)
    shares = slot_shares(plan)
    names = ("s0", "s2", "s1")
    share = torch.tensor([shares.get(name, 0.0) for name in names], dtype=torch.float64)
    slots = [
        torch.tensor(
            [names.index(plan.strata[take.stratum].slots[lane_slot(plan, take)]) for take in plan.batch(step)
             for _ in range(take.stop - take.start)]
        )
        for step in range(plan.steps)
    ]  # fmt: skip
    masking = make_masking(HEADS, SLOTS, adaptive=True)
    normaliser = make_normaliser(kind, masking, share)

    def loss(slot):
        labels = torch.ones(len(slot), 1, dtype=torch.int64)
        # Every row of a head has the loss that belongs to its slot.
        logits = torch.tensor([[0.3, 0.3], [-0.4, -0.4], [0.9, 0.9]], dtype=torch.float64)[slot]
        label, mask = targets(masking, labels, slot)
        n = normaliser(mask.sum(dim=0).double(), torch.tensor(float(len(slot))))
        return masked_loss(head_losses(logits, label, mask), masking.weight, n).item()

    mean = sum(len(slot) / plan.rows * loss(slot) for slot in slots)
    return mean, loss(torch.cat(slots))


def lane_slot(plan, take):
    """Number of the slot, within its stratum, of the lane of `take`."""
    source = plan.drawn(take.stratum, take.cycle).lanes[take.lane].sources[0]
    return next(n for n, group in enumerate(plan.strata[take.stratum].sources) if source in group)


# Audio slots s0 and s2, and a video slot s1 that most batches lack.
RARE = [(0, 0, [300]), (2, 0, [150]), (1, 0, [7])]


def test_the_expected_count_is_unbiased_for_a_head_that_most_batches_lack():
    mean, whole = epoch("expected", RARE, 32)
    np.testing.assert_allclose(mean, whole, rtol=1e-12)
    biased, _ = epoch("head", RARE, 32)
    assert abs(biased - whole) > 0.1 * whole


@pytest.mark.parametrize("mixing", ["proportional", Shares(by="modality", of={"m0": 1, "m1": 1})])
def test_the_shares_are_those_of_the_plans_rows(mixing):
    plan = make_plan(snapshot_of(RARE), seed=1, epoch=0, batch_size=32, lanes=2, mixing=mixing)
    rows = {"s0": 0, "s1": 0, "s2": 0}
    for step in range(plan.steps):
        for take in plan.batch(step):
            rows[plan.strata[take.stratum].slots[lane_slot(plan, take)]] += take.stop - take.start
    shares = slot_shares(plan)
    assert sum(shares.values()) == pytest.approx(1)
    for slot, expected in rows.items():
        assert shares[slot] == pytest.approx(expected / plan.rows, abs=1 / plan.rows)
