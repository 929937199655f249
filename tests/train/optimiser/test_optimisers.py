"""The embeddings' optimisers against the formulas and against torch's own, and the rows they leave alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from camoe.config.training import TrainingConfig
from camoe.model.camoe import Camoe
from camoe.train.optimiser.adagrad import EPSILON, SparseAdagrad, each_entry, row_mean
from camoe.train.optimiser.average import WeightAverage
from camoe.train.optimiser.optimisers import EMBEDDING_OPTIMISERS, TableAdam, make_optimisers
from tests.model.specs import MOMENTS, SPEC

VOCABULARY, DIM, LR = 7, 3, 0.1
# Rows of several steps, some of them twice.
steps = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=12), min_size=1, max_size=4)


def table():
    return nn.Parameter(torch.linspace(-1, 1, VOCABULARY * DIM, dtype=torch.float64).reshape(VOCABULARY, DIM))


def gradient(rows, step):
    values = torch.randn(len(rows), DIM, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
    indices = torch.tensor([rows], dtype=torch.int64)
    return torch.sparse_coo_tensor(indices, values, (VOCABULARY, DIM), check_invariants=False)


def learned(optimiser, weight, every, dense=False):
    for step, rows in enumerate(every):
        given_gradient = gradient(rows, step)
        weight.grad = given_gradient.to_dense() if dense else given_gradient
        optimiser.step()
    return weight.detach().numpy()


@settings(deadline=None, max_examples=30)
@given(steps)
def test_adagrad_is_torchs(every):
    weight, other = table(), table()
    found = learned(SparseAdagrad([weight], LR, each_entry), weight, every)
    np.testing.assert_allclose(
        found, learned(torch.optim.Adagrad([other], lr=LR), other, every), rtol=1e-12, atol=1e-14
    )


def dense_row_wise(weight, sums, total):
    """A step of FBGEMM's EXACT_ROWWISE_ADAGRAD without weight decay, over every row of the table.

    `s_r += (1/D) sum_d g_rd^2`, `w_r -= lr / (sqrt(s_r) + eps) * g_r`, with `g_r` summed over all places of r in the
    batch before it is squared, hence EXACT (`rowwise_adagrad` in fbgemm_gpu/codegen/genscript/optimizers.py).
    Shapes: weight and total `[V, D]`, sums `[V]`. Both weight and sums are changed.
    """
    sums += np.square(total).sum(axis=1) / DIM
    weight -= (LR / (np.sqrt(sums) + EPSILON))[:, np.newaxis] * total


@settings(deadline=None, max_examples=50)
@given(steps)
@example([[2, 2, 2, 5], [5], [2, 2]])
def test_row_wise_adagrad_is_the_dense_formula_and_leaves_other_rows_their_bits(every):
    weight, expected, sums = table(), table().detach().numpy(), np.zeros(VOCABULARY)
    optimiser = SparseAdagrad([weight], LR, row_mean)
    for step, rows in enumerate(every):
        before = weight.detach().clone(), optimiser.state[weight]["sum"].clone()
        weight.grad = gradient(rows, step)
        optimiser.step()
        dense_row_wise(expected, sums, gradient(rows, step).to_dense().numpy())
        kept = [row for row in range(VOCABULARY) if row not in rows]
        assert torch.equal(weight.detach()[kept], before[0][kept])
        assert torch.equal(optimiser.state[weight]["sum"][kept], before[1][kept])
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(optimiser.state[weight]["sum"].squeeze(1).numpy(), sums, rtol=1e-12, atol=1e-14)


@settings(deadline=None, max_examples=15)
@given(steps)
def test_adam_is_that_of_dense_gradients(every):
    weight, other = table(), table()
    found = learned(EMBEDDING_OPTIMISERS["adam"]([weight], LR), weight, every)
    expected = learned(torch.optim.Adam([other], lr=LR), other, every, dense=True)
    np.testing.assert_array_equal(found, expected)


def test_row_wise_adagrad_keeps_one_number_a_row():
    weight = table()
    sizes = {
        squares: SparseAdagrad([weight], LR, squares).state[weight]["sum"].shape for squares in (row_mean, each_entry)
    }
    assert sizes == {row_mean: (VOCABULARY, 1), each_entry: (VOCABULARY, DIM)}


@pytest.mark.parametrize("squares", [each_entry, row_mean])
def test_a_row_without_gradient_keeps_its_bits(squares):
    weight = table()
    before = weight.detach().clone()
    learned(SparseAdagrad([weight], LR, squares), weight, [[2, 5, 2], [5]])
    changed = (weight.detach() != before).any(dim=1)
    assert changed.nonzero().squeeze(1).tolist() == [2, 5]


@pytest.mark.parametrize("squares", [each_entry, row_mean])
def test_a_saved_state_continues_where_it_was(squares):
    every = [[1, 1, 4], [4, 6], [1, 6]]
    whole, first = table(), table()
    expected = learned(SparseAdagrad([whole], LR, squares), whole, every)
    begun = SparseAdagrad([first], LR, squares)
    learned(begun, first, every[:2])
    resumed = SparseAdagrad([first], LR, squares)
    resumed.load_state_dict(begun.state_dict())
    first.grad = gradient(every[2], 2)
    resumed.step()
    np.testing.assert_array_equal(first.detach().numpy(), expected)


@pytest.mark.parametrize("name", EMBEDDING_OPTIMISERS)
def test_the_setting_chooses_the_tables_optimiser(name):
    torch.manual_seed(3)
    model = Camoe(SPEC, MOMENTS)
    config = TrainingConfig(embedding_optimiser=name, warmup_steps=0)
    optimisers = make_optimisers(model, config, total_steps=3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    numeric = torch.randn(8, 2)
    logits, _ = model(torch.randint(0, 6, (8, 2)), numeric)
    logits.square().sum().backward()
    optimisers.step()
    assert type(optimisers.parts[1]) is type(EMBEDDING_OPTIMISERS[name]([table()], LR))
    assert not torch.equal(model.state_dict()["embedding.table.weight"], before["embedding.table.weight"])


@pytest.mark.parametrize("warmup", [0, 1, 4])
def test_rates_rise_in_equal_steps_and_fall_along_a_cosine(warmup):
    """Step t of T learns at min(1, (t + 1) / warm-up) (1 + cos(pi t / T)) / 2 of the configured rate; then at none."""
    total = 10
    config = TrainingConfig(warmup_steps=warmup, learning_rate=0.3, embedding_learning_rate=2.0)
    optimisers = make_optimisers(Camoe(SPEC, MOMENTS), config, total)
    shares = []
    for _ in range(total + 2):
        rates = [{group["lr"] for group in part.param_groups} for part in optimisers.parts]
        assert [len(of_part) for of_part in rates] == [1, 1]
        dense, embedding = (of_part.pop() for of_part in rates)
        assert embedding / 2.0 == pytest.approx(dense / 0.3, abs=1e-15)
        shares.append(dense / 0.3)
        optimisers.step()
    rising = [min(1.0, (step + 1) / max(warmup, 1)) for step in range(total)]
    falling = [(1 + math.cos(math.pi * step / total)) / 2 for step in range(total)]
    expected = [rise * fall for rise, fall in zip(rising, falling, strict=True)]
    assert shares == pytest.approx([*expected, 0.0, 0.0], abs=1e-12)


def test_the_average_of_the_weights_is_the_declared_running_mean():
    weight = table()
    average = WeightAverage([weight], 0.6)
    mean = weight.detach().clone()
    for step in range(12):
        with torch.no_grad():
            weight.add_(gradient([step % VOCABULARY], step).to_dense())
        average.step()
        decay = min(0.6, (1 + step) / (10 + step))
        mean = weight.detach().clone() if step == 0 else decay * mean + (1 - decay) * weight.detach()
    raw = weight.detach().clone()
    average.swap()
    torch.testing.assert_close(weight.detach(), mean, rtol=1e-12, atol=1e-14)
    average.swap()
    assert torch.equal(weight.detach(), raw)


def test_decay_of_embeddings_is_that_of_whole_tables():
    weight = table()
    before = weight.detach().clone()
    weight.grad = gradient([0], 0)
    TableAdam([weight], LR, decay=0.1).step()
    torch.testing.assert_close(weight.detach()[1:], before[1:] * (1 - LR * 0.1), rtol=1e-12, atol=1e-14)
    with pytest.raises(ValidationError, match="embedding_weight_decay needs embedding_optimiser adam"):
        TrainingConfig(embedding_weight_decay=0.1)
