"""Gradients summed over real workers are the sum of the workers' gradients, whichever way they travel."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from camoe.train.distributed.gradients import clip_gradients, gradient_norm, merge_rows
from tests.paths import ROOT
from tests.train.distributed.exchange_worker import EXCHANGES, MAX_NORM, gradients

WORKERS, STEPS = 2, 3


def sparse(rows, dim=3, vocabulary=9, dtype=torch.float64):
    values = torch.randn(len(rows), dim, generator=torch.Generator().manual_seed(len(rows)), dtype=dtype)
    indices = torch.tensor([rows], dtype=torch.int64)
    return torch.sparse_coo_tensor(indices, values, (vocabulary, dim), check_invariants=False)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 8), max_size=30), st.sampled_from([torch.float32, torch.float64]))
def test_merged_rows_are_the_coalesced_gradient(rows, dtype):
    gradient = sparse(rows, dtype=dtype)
    merged, expected = merge_rows(gradient), gradient.coalesce()
    assert merged.is_coalesced()
    assert merged.indices().tolist() == expected.indices().tolist() == [sorted(set(rows))]
    torch.testing.assert_close(merged.values(), expected.values())


def test_row_numbers_beyond_32_bits_stay_whole():
    far = 2**40
    merged = merge_rows(sparse([far, 5, far], vocabulary=far + 1))
    assert merged.indices().tolist() == [[5, far]]


@pytest.mark.parametrize("max_norm", [0.1, 1e6])
@pytest.mark.parametrize("rows", [[4, 1, 4, 4], []])
def test_clipping_is_that_of_the_same_gradients_held_densely(rows, max_norm):
    gradients = [merge_rows(sparse(rows)), torch.tensor([0.3, -4.0], dtype=torch.float64)]
    ours, theirs = ([nn.Parameter(torch.zeros_like(g.to_dense())) for g in gradients] for _ in range(2))
    for mine, other, gradient in zip(ours, theirs, gradients, strict=True):
        mine.grad, other.grad = gradient.clone(), gradient.to_dense().clone()
    norm = gradient_norm([*ours, nn.Parameter(torch.zeros(1))])
    clip_gradients(ours, norm, max_norm)
    assert norm == pytest.approx(nn.utils.clip_grad_norm_(theirs, max_norm).item(), rel=1e-12)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine.grad.to_dense(), other.grad, rtol=1e-5, atol=0)
    assert ours[0].grad.is_coalesced()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_one_value_that_is_not_finite_shows_in_the_norm(value):
    weights = [nn.Parameter(sparse([]).to_dense()), nn.Parameter(torch.zeros(2, dtype=torch.float64))]
    weights[0].grad, weights[1].grad = merge_rows(sparse([1, 4])), torch.tensor([0.3, value], dtype=torch.float64)
    assert not math.isfinite(gradient_norm(weights))


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    """What two workers had after each exchange: by step, way and rank."""
    folder = tmp_path_factory.mktemp("exchange")
    launcher = str(Path(sys.executable).with_name("horovodrun"))
    module = [sys.executable, "-m", "tests.train.distributed.exchange_worker", str(folder)]
    command = [launcher, "--gloo", "-np", str(WORKERS), *module]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        (step, way, rank): np.load(folder / f"{step}-{way}-{rank}.npz")
        for step in range(STEPS) for way in EXCHANGES for rank in range(WORKERS)
    }  # fmt: skip


@pytest.mark.horovod
@pytest.mark.parametrize("way", EXCHANGES)
def test_every_worker_has_the_sum_of_all_gradients(exchanged, way):
    every = [list(gradients(rank)) for rank in range(WORKERS)]
    for step in range(STEPS):
        table = sum(of_rank[step][0].to_dense().double() for of_rank in every).numpy()
        bias = sum(of_rank[step][1].double() for of_rank in every).numpy()
        for rank in range(WORKERS):
            found = exchanged[step, way, rank]
            assert found["coalesced"]
            np.testing.assert_allclose(found["table"], table, rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(found["bias"], bias, rtol=1e-6, atol=1e-7)


@pytest.mark.horovod
def test_both_ways_give_the_same_gradient_to_the_last_bits(exchanged):
    for step in range(STEPS):
        for rank in range(WORKERS):
            rows, dense = (exchanged[step, way, rank]["table"] for way in ("rows", "dense"))
            np.testing.assert_allclose(rows, dense, rtol=2e-7, atol=1e-7)


@pytest.mark.horovod
@pytest.mark.parametrize("way", EXCHANGES)
def test_all_workers_clip_alike(exchanged, way):
    for step in range(STEPS):
        first, second = (exchanged[step, way, rank] for rank in range(WORKERS))
        norm = np.sqrt((first["table"].astype(float) ** 2).sum() + (first["bias"].astype(float) ** 2).sum())
        assert first["norm"] == second["norm"] == pytest.approx(norm, rel=1e-6)
        for name in ("table", "bias"):
            np.testing.assert_array_equal(first[f"clipped_{name}"], second[f"clipped_{name}"])
            np.testing.assert_allclose(first[f"clipped_{name}"], first[name] * (MAX_NORM / norm), rtol=1e-5, atol=1e-8)
