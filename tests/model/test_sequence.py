"""Pooled sequences against a loop over rows, values and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camoe.contracts.encoder import UNKNOWN
from camoe.model.embedding import JointEmbedding
from camoe.model.sequence import pooled

SIZES, DIM, FEATURE, LONGEST = (4, 6, 3), 3, 1, 5
# Indices beyond the feature's six rows read as unknown.
sequences = st.lists(st.lists(st.integers(0, 9), max_size=LONGEST), min_size=1, max_size=6)


def joint():
    torch.manual_seed(2)
    return JointEmbedding(SIZES, DIM).double()


def by_loop(embedding, sequence, pooling):
    total = torch.zeros(DIM, dtype=torch.float64)
    for index in sequence:
        known = index if index < SIZES[FEATURE] else UNKNOWN
        total = total + embedding.table(torch.tensor(SIZES[0] + known))
    return total / len(sequence) if pooling == "mean" and sequence else total


def packed(every, padding, dtype):
    indices = torch.tensor([[*one, *[padding] * (LONGEST - len(one))] for one in every], dtype=dtype)
    return indices, torch.tensor([len(one) for one in every])


@pytest.mark.parametrize("pooling", ["mean", "sum"])
@settings(deadline=None, max_examples=30)
@given(sequences, st.integers(0, 12), st.sampled_from([torch.int32, torch.int64]))
def test_pooling_is_a_loop_over_the_sequence(pooling, every, padding, dtype):
    ours, theirs = joint(), joint()
    found = pooled(ours, FEATURE, *packed(every, padding, dtype), pooling)
    expected = torch.stack([by_loop(theirs, one, pooling) for one in every])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    weights = torch.linspace(1, 2, DIM, dtype=torch.float64)
    (found * weights).sum().backward()
    gradient = ours.table.weight.grad.coalesce()
    reads = {SIZES[0] + (index if index < SIZES[FEATURE] else UNKNOWN) for one in every for index in one}
    assert gradient.indices().tolist() == [sorted(reads)]
    if reads:
        (expected * weights).sum().backward()
        torch.testing.assert_close(gradient.to_dense(), theirs.table.weight.grad.to_dense(), rtol=1e-12, atol=1e-15)
