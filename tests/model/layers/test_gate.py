"""A gate's weights."""

from __future__ import annotations

import torch

from camoe.model.layers.gate import Gate


def test_weights_are_the_softmax_of_a_linear_layer():
    torch.manual_seed(2)
    gate, x = Gate(5, 3, scale=1.0), torch.randn(40, 5)
    torch.testing.assert_close(gate(x), torch.softmax(gate.linear(x), dim=1))
    torch.testing.assert_close(gate(x).sum(dim=1), torch.ones(40))


def test_a_gate_that_begins_at_zero_gives_every_expert_the_same_part():
    gate = Gate(5, 4, scale=0.0)
    assert gate(torch.randn(3, 5)).tolist() == [[0.25] * 4] * 3
