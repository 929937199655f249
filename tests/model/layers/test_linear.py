"""Layers over rows with columns of zeros compute what they compute without them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from camoe.model.layers.cross import CrossNetwork
from camoe.model.layers.linear import LINE, AlignedLinear, aligned

ROWS = 5
widths = st.integers(1, 2 * LINE + 1)


def rows_of(width):
    generator = torch.Generator().manual_seed(width)
    return torch.randn(ROWS, width, generator=generator, dtype=torch.float64, requires_grad=True)


def gradients(layer, x, y):
    """Of a loss whose derivative differs from entry to entry, by x and by every weight."""
    scale = torch.arange(1, y.numel() + 1, dtype=torch.float64).reshape(y.shape)
    return torch.autograd.grad((y * scale).sum(), [x, *layer.parameters()])


@given(widths)
def test_rows_end_at_a_whole_cache_line_with_zeros(width):
    x = rows_of(width)
    wide = aligned(x)
    assert wide.shape[1] % LINE == 0
    assert wide.shape[1] - width < LINE
    assert torch.equal(wide[:, :width], x)
    assert not wide[:, width:].any()


@settings(deadline=None, max_examples=30)
@given(widths, st.integers(1, LINE + 1), st.booleans())
def test_the_layer_is_torchs_and_so_are_its_gradients(width, out, bias):
    plain, x = nn.Linear(width, out, bias=bias, dtype=torch.float64), rows_of(width)
    layer = AlignedLinear(width, out, bias=bias, dtype=torch.float64)
    layer.load_state_dict(plain.state_dict())
    found, expected = layer(aligned(x)), plain(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(gradients(layer, x, found), gradients(plain, x, expected), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rank", [None, 3])
@pytest.mark.parametrize("width", [LINE - 1, LINE, LINE + 1])
def test_crosses_keep_the_zeros_and_the_values_before_them(width, rank):
    torch.manual_seed(3)
    network, x = CrossNetwork(width, 3, rank).double(), rows_of(width)
    for weight in network.parameters():
        nn.init.normal_(weight)
    found, expected = network(aligned(x)), network(x)
    assert not found[:, width:].any()
    torch.testing.assert_close(found[:, :width], expected, rtol=1e-12, atol=1e-12)
    pairs = zip(gradients(network, x, found[:, :width]), gradients(network, x, expected), strict=True)
    assert all(torch.allclose(one, other, rtol=1e-11, atol=1e-11) for one, other in pairs)


@pytest.mark.parametrize("layer", [AlignedLinear(5, 2), CrossNetwork(5, 2), CrossNetwork(5, 2, rank=2)])
def test_an_input_that_lacks_columns_is_refused(layer):
    with pytest.raises(ValueError, match="the input has 4 columns and the layer's weights want 5"):
        layer(torch.zeros(ROWS, 4))
