"""Pooled sequences against a loop over rows, values and gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from camoe.contracts.encoder import UNKNOWN
from camoe.contracts.features import FeatureSet
from camoe.model.camoe import Camoe
from camoe.model.layers.attention import ActivationUnit
from camoe.model.layers.embedding import JointEmbedding
from camoe.model.layers.sequence import Elements
from tests.model.specs import SPEC as CAMOE

SIZES, DIM, FEATURE, LONGEST = (4, 6, 3), 3, 1, 5
TAU = 3600.0
# Indices beyond the feature's six rows read as unknown.
sequences = st.lists(st.lists(st.integers(0, 9), max_size=LONGEST), min_size=1, max_size=6)


def joint():
    torch.manual_seed(2)
    return JointEmbedding(SIZES, DIM).double()


def embedded(embedding, index):
    return embedding.table(torch.tensor(SIZES[0] + (index if index < SIZES[FEATURE] else UNKNOWN)))


def by_loop(embedding, sequence, weights):
    total = torch.zeros(DIM, dtype=torch.float64)
    for index, weight in zip(sequence, weights, strict=True):
        total = total + weight * embedded(embedding, index)
    return total


def packed(every, padding, dtype):
    indices = torch.tensor([[*one, *[padding] * (LONGEST - len(one))] for one in every], dtype=dtype)
    return indices, torch.tensor([len(one) for one in every])


def decays(ages):
    """`exp(-age / tau)` over their sum, without a look at the oldest or newest."""
    weights = np.exp(-np.array(ages) / TAU)
    return (weights / weights.sum()).tolist()


def same(ours, theirs, found, expected, every):
    """Check values and gradients, and that no row of the table has a gradient but those that were read."""
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-14)
    weights = torch.linspace(1, 2, DIM, dtype=torch.float64)
    (found * weights).sum().backward()
    gradient = ours.table.weight.grad.coalesce()
    reads = {SIZES[0] + (index if index < SIZES[FEATURE] else UNKNOWN) for one in every for index in one}
    assert gradient.indices().tolist() == [sorted(reads)]
    if reads:
        (expected * weights).sum().backward()
        torch.testing.assert_close(gradient.to_dense(), theirs.table.weight.grad.to_dense(), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("pooling", ["mean", "sum"])
@settings(deadline=None, max_examples=30)
@given(sequences, st.integers(0, 12), st.sampled_from([torch.int32, torch.int64]))
def test_pooling_is_a_loop_over_the_sequence(pooling, every, padding, dtype):
    ours, theirs = joint(), joint()
    elements = Elements(ours, FEATURE, *packed(every, padding, dtype))
    found = elements.mean() if pooling == "mean" else elements.total()
    weights = [[1 / max(1, len(one)) if pooling == "mean" else 1.0] * len(one) for one in every]
    expected = torch.stack([by_loop(theirs, *pair) for pair in zip(every, weights, strict=True)])
    same(ours, theirs, found, expected, every)


@settings(deadline=None, max_examples=30)
@given(sequences, st.integers(0, 12), st.data())
def test_decayed_pooling_is_a_mean_by_age(every, padding, data):
    ages = [[data.draw(st.floats(0, 20 * TAU)) for _ in one] for one in every]
    ours, theirs = joint(), joint()
    elements = Elements(ours, FEATURE, *packed(every, padding, torch.int32))
    logged = torch.tensor([[*np.log1p(one), *[7.0] * (LONGEST - len(one))] for one in ages], dtype=torch.float64)
    found = elements.weighted(elements.decayed(logged, TAU))
    weights = [decays(of) if of else [] for of in ages]
    expected = torch.stack([by_loop(theirs, *pair) for pair in zip(every, weights, strict=True)])
    same(ours, theirs, found, expected, every)


def test_elements_that_are_all_very_old_still_have_weights():
    """`exp(-age / tau)` is 0 in any float there, and the newest counts most."""
    elements = Elements(joint().float(), FEATURE, torch.tensor([[2, 3, 4]]), torch.tensor([3]))
    ages = torch.log1p(torch.tensor([[5000 * TAU, 4000 * TAU + TAU, 4000 * TAU]]))
    found = elements.decayed(ages, TAU)
    assert found.tolist() == [pytest.approx([0, 1 / (1 + math.e), math.e / (1 + math.e)], rel=1e-2)]


def unit_by_hand(unit, query, key):
    """The paper's activation unit in numpy: one hidden layer of rectified units."""
    first, last = unit.hidden[0], unit.weight
    x = np.concatenate([query, key, query - key, query * key])
    hidden = np.maximum(first.weight.detach().numpy() @ x + first.bias.detach().numpy(), 0)
    return float((last.weight.detach().numpy() @ hidden + last.bias.detach().numpy())[0])


@settings(deadline=None, max_examples=20)
@given(sequences, st.integers(0, 12))
def test_attention_is_that_of_the_paper_written_out(every, padding):
    """The weighted sum of the elements' embeddings, by a unit that sees query and element; not normalised."""
    ours, theirs = joint(), joint()
    torch.nn.init.normal_(ours.table.weight)
    theirs.load_state_dict(ours.state_dict())
    torch.manual_seed(5)
    unit = ActivationUnit(DIM, (7,)).double()
    query = torch.randn(len(every), DIM, dtype=torch.float64)
    found = Elements(ours, FEATURE, *packed(every, padding, torch.int32)).attended(query, unit)
    expected = np.zeros((len(every), DIM))
    for row, one in enumerate(every):
        for index in one:
            key = embedded(theirs, index).detach().numpy()
            expected[row] += unit_by_hand(unit, query[row].numpy(), key) * key
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10, atol=1e-12)


def test_the_gradients_of_attention_are_those_of_a_loop():
    """Of the elements, of the query, and of the unit."""
    every, results = [[2, 3], [], [5, 2, 9]], []
    for by_hand in (False, True):
        ours = joint()
        torch.nn.init.normal_(ours.table.weight, generator=torch.Generator().manual_seed(1))
        torch.manual_seed(5)
        unit = ActivationUnit(DIM, (7,)).double()
        query = torch.randn(3, DIM, dtype=torch.float64).requires_grad_()
        if by_hand:
            keys = [torch.stack([embedded(ours, index) for index in one]) for one in every if one]
            parts = [(unit(query[[row] * len(of)], of) * of).sum(dim=0) for row, of in zip((0, 2), keys, strict=True)]
            made = torch.stack([parts[0], torch.zeros(DIM, dtype=torch.float64), parts[1]])
        else:
            made = Elements(ours, FEATURE, *packed(every, 4, torch.int32)).attended(query, unit)
        (made * torch.linspace(1, 2, DIM, dtype=torch.float64)).sum().backward()
        results.append([ours.table.weight.grad.to_dense(), query.grad, *(of.grad for of in unit.parameters())])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


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
