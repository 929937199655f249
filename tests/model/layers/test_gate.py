"""A gate's weights, and what dropout does to them."""

from __future__ import annotations

import pytest
import torch

from camoe.model.layers.gate import Gate

ROWS = 4000


@pytest.fixture
def gate():
    torch.manual_seed(2)
    return Gate(5, 3, dropout=0.4, scale=1.0)


@pytest.fixture
def x():
    return torch.randn(ROWS, 5)


def test_without_training_nothing_is_left_out(gate, x):
    weights = gate.eval()(x)
    torch.testing.assert_close(weights, torch.softmax(gate.linear(x), dim=1))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(ROWS))


def test_in_training_experts_are_left_out_and_the_others_keep_their_proportion(gate, x):
    whole = gate.eval()(x)
    weights = gate.train()(x)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(ROWS))
    left_out = weights == 0
    # A row keeps all its experts where none would be left: at 0.4 that is 6.4 % of the rows.
    assert left_out.float().mean().item() == pytest.approx(0.4 - 0.4**3, abs=0.02)
    assert not left_out.all(dim=1).any()
    expected = torch.where(left_out, 0.0, whole)
    torch.testing.assert_close(weights, expected / expected.sum(dim=1, keepdim=True))


def test_a_gate_without_dropout_is_the_same_in_training(x):
    gate = Gate(5, 3, dropout=0.0, scale=1.0)
    torch.testing.assert_close(gate.train()(x), gate.eval()(x), rtol=0, atol=0)


def test_a_gate_that_begins_at_zero_gives_every_expert_the_same_part():
    gate = Gate(5, 4, dropout=0.0, scale=0.0)
    assert gate(torch.randn(3, 5)).tolist() == [[0.25] * 4] * 3
