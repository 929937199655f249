"""Pooled sequences against a loop over rows, values and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camoe.contracts.encoder import UNKNOWN
from camoe.contracts.features import FeatureSet
from camoe.model.camoe import Camoe
from camoe.model.layers.embedding import JointEmbedding
from camoe.model.layers.sequence import pooled
from tests.model.specs import SPEC as CAMOE

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


FEATURES = FeatureSet(
    categorical=[{"name": "x", "sql": "x"}],
    sequence=[
        {"name": "shared", "sql": "s", "vocabulary": "x", "max_length": 2},
        {"name": "own", "sql": "s", "max_length": 3, "pooling": "sum"},
    ],
)
SPEC = CAMOE.model_copy(update={"features": FEATURES, "vocabulary_sizes": (4, 6)})
# x; then shared and own, each as its length and its indices.
X = torch.tensor([[2], [3]])
PACKED = torch.tensor([[2, 2, 99, 1, 5, 0, 0], [0, 3, 3, 3, 2, 2, 4]])


def test_a_model_pools_each_sequence_through_the_embeddings_that_it_shares_or_owns():
    torch.manual_seed(3)
    model = Camoe(SPEC, ()).double()
    table = model.embedding.table.weight.detach()
    found = model.bottom(X, torch.empty(2, 0, dtype=torch.float64), PACKED).detach()
    zero = torch.zeros(SPEC.model.embedding_dim, dtype=torch.float64)
    expected = [
        torch.cat([table[2], (table[2] + table[UNKNOWN]) / 2, table[4 + 5]]),
        torch.cat([table[3], zero, 2 * table[4 + 2] + table[4 + 4]]),
    ]
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-12, atol=1e-15)
    assert found.shape == (2, SPEC.bottom_width)


def test_a_batch_without_rows_or_without_elements_gives_no_nan():
    model = Camoe(SPEC, ()).double()
    for rows in (0, 2):
        logits, _ = model(X[:rows], torch.empty(rows, 0, dtype=torch.float64), torch.zeros_like(PACKED[:rows]))
        logits.sum().backward()
        assert torch.isfinite(logits).all()
    assert torch.isfinite(model.embedding.table.weight.grad.to_dense()).all()


def test_a_model_with_sequences_refuses_rows_without_them():
    with pytest.raises(ValueError, match="have the sequences seq_shared, seq_own, and none are given"):
        Camoe(SPEC, ())(X, torch.empty(2, 0))
