"""The joint table: which row each index reads, and what it starts from."""

from __future__ import annotations

import pytest
import torch

from camoe.contracts.encoder import UNKNOWN
from camoe.model.layers.embedding import JointEmbedding

SIZES, DIM = (4, 900, 3), 5


@pytest.fixture
def embedding():
    torch.manual_seed(1)
    return JointEmbedding(SIZES, DIM)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_each_feature_reads_its_own_rows(embedding, dtype):
    rows = embedding.table.weight.detach()
    found = embedding(torch.tensor([[0, 899, 2], [4, 7, 1000]], dtype=dtype))
    expected = [[0, 4 + 899, 904 + 2], [UNKNOWN, 4 + 7, 904 + UNKNOWN]]
    torch.testing.assert_close(found.detach(), rows[torch.tensor(expected)].flatten(1), rtol=0, atol=0)


def test_a_hidden_row_reads_as_unknown():
    embedding = JointEmbedding(SIZES, DIM, hidden=[3, 4 + 7])
    found = embedding.rows(torch.tensor([[3, 7, 2], [2, 8, 0]]), slice(3))
    assert found.tolist() == [[UNKNOWN, 4 + UNKNOWN, 906], [2, 12, 904]]
    assert embedding.rows(torch.tensor([7, 8]), 1).tolist() == [4 + UNKNOWN, 12]
    assert "hidden" not in embedding.state_dict()


@pytest.mark.parametrize("std", [0.01, 0.5])
def test_the_table_starts_at_its_scale(std):
    torch.manual_seed(1)
    weight = JointEmbedding(SIZES, DIM, std=std).table.weight
    assert weight.shape == (sum(SIZES), DIM)
    assert weight.std().item() == pytest.approx(std, rel=0.05)
    assert abs(weight.mean().item()) < 0.1 * std


def test_the_table_learns_sparsely(embedding):
    weight = embedding.table.weight
    embedding(torch.tensor([[0, 5, 1]])).sum().backward()
    assert weight.grad.is_sparse
    assert weight.grad.coalesce().indices().tolist() == [[0, 9, 905]]
