"""The stability index against numpy, its noise against draws, and the cells that it is taken over."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camoe.contracts.drift.shift import in_cells, noise, numeric_cells, psi

counts = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=30)
bins = st.dictionaries(st.integers(-2300, 2300), st.integers(1, 1000), min_size=1, max_size=60)


@given(counts)
def test_psi_is_the_formula_with_half_a_row_in_each_cell(pairs):
    reference, later = (list(side) for side in zip(*pairs, strict=True))
    found = psi(reference, later)
    if not sum(reference) or not sum(later):
        assert found is None
        return
    p, q = ((np.array(side) + 0.5) / (np.sum(side) + 0.5 * len(side)) for side in (reference, later))
    assert found == pytest.approx(np.sum((q - p) * np.log(q / p)), rel=1e-9, abs=1e-12)
    assert found >= 0
    assert found == pytest.approx(psi(later, reference), rel=1e-9, abs=1e-12)


def test_the_usual_marks_mean_what_they_usually_mean():
    same = psi([3000, 5000, 2000], [1500, 2500, 1000])
    assert same == pytest.approx(0, abs=1e-6)
    # A tenth of the rows moves from one half to the other; then three tenths.
    assert psi([50_000, 50_000], [60_000, 40_000]) == pytest.approx(0.1 * np.log(1.5), rel=1e-3)
    assert psi([50_000, 50_000], [80_000, 20_000]) == pytest.approx(0.3 * np.log(4), rel=1e-3)


def test_noise_is_the_mean_index_of_draws_from_one_distribution():
    random = np.random.default_rng(0)
    shares = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    draws = [(random.multinomial(2000, shares).tolist(), random.multinomial(500, shares).tolist()) for _ in range(2000)]
    mean = np.mean([psi(reference, later) for reference, later in draws])
    assert mean == pytest.approx(noise(*draws[0]), rel=0.05)


def test_a_side_without_rows_has_no_index():
    assert psi([0, 0], [1, 2]) is None
    assert noise([1, 2], [0, 0]) is None


@given(bins, bins)
def test_cells_of_a_numeric_hold_every_row_once_in_order(reference, later):
    starts = numeric_cells(reference)
    assert list(starts) == sorted(set(starts))
    assert starts[0] == min(reference)
    assert len(starts) <= 10
    counted = in_cells(later, starts)
    assert counted.total() == sum(later.values())
    assert counted == expected_cells(later, starts)
    # All cells but the last hold at least a tenth of the reference rows.
    filled = in_cells(reference, starts)
    assert all(filled[str(cell)] >= sum(reference.values()) / 10 for cell in range(len(starts) - 1))


def expected_cells(later, starts):
    counted = Counter()
    for number, rows in later.items():
        cell = max([place for place, start in enumerate(starts) if start <= number], default=0)
        counted[str(cell)] += rows
    return counted
