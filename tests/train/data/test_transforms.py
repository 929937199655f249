"""Fitted quantiles are order statistics of all training rows, however the rows are spread."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from camoe.model.layers.scaling import KNOTS, LARGEST, Knots
from camoe.train.data.quantiles import fit_knots
from tests.train.job import train
from tests.train.pipeline import write_pipeline

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
few = st.sampled_from([-1.5, -0.0, 0.0, 1.0, 1.0000001, 3e38])
columns = st.lists(st.lists(floats | few, max_size=300), min_size=1, max_size=3)


def expected(values):
    """By sorting: ranks k (n - 1) // 63, each distinct value once, ties counted half."""
    ordered = np.sort(np.clip(np.asarray(values, dtype=np.float32), np.float32(-LARGEST), np.float32(LARGEST)))
    if not len(ordered):
        return Knots((), ())
    knots = np.unique([ordered[k * (len(ordered) - 1) // (KNOTS - 1)] for k in range(KNOTS)])
    shares = [((ordered < knot).mean() + (ordered <= knot).mean()) / 2 for knot in knots]
    return Knots(tuple(knots.tolist()), tuple(shares))


def fitted(parts, count):
    """`parts`: batches of one array a column."""
    arrays = [[np.asarray(column, dtype=np.float32) for column in part] for part in parts]
    return fit_knots(lambda: iter(arrays), count, lambda total, _: total)


@settings(deadline=None, max_examples=60)
@given(columns, st.integers(1, 4))
def test_knots_are_order_statistics_whatever_the_batches(values, cuts):
    found = fitted([[column[cut::cuts] for column in values] for cut in range(cuts)], len(values))
    for knots, column in zip(found, values, strict=True):
        wanted = expected(column)
        assert knots.values == wanted.values
        np.testing.assert_allclose(knots.shares, wanted.shares, atol=1e-12)


def test_many_rows_give_64_knots_and_a_constant_one():
    (many, constant) = fitted([[np.random.default_rng(0).normal(size=50_000), np.full(9, 2.0)]], 2)
    assert len(many.values) == KNOTS
    assert constant == Knots((2.0,), (0.5,))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantile")
    config = write_pipeline(folder, {"s0": 331, "s1": 203, "s2": 7})
    # The table was made for a log1p: another transform needs no other table.
    change = "features.numeric=[{name: tenure, sql: tenure, transform: quantile, missing_indicator: false}]"
    train(config, 2, change, "training.epochs=1")
    return folder / "out"


@pytest.mark.slow
@pytest.mark.horovod
def test_two_workers_fit_the_quantiles_of_all_training_rows(trained):
    days = ("date=2026-01-01", "date=2026-01-02")
    files = [path for day in days for path in (trained / "training").glob(f"*/*/{day}/*.parquet")]
    values = np.concatenate([pq.read_table(path)["num_tenure"].drop_null().to_numpy() for path in files])
    wanted = expected(values)
    assert len(wanted.values) == KNOTS
    weights = load_file(trained / "bundle/weights.safetensors")
    np.testing.assert_array_equal(weights["scaling.knots"], [np.float32(wanted.values)])
    np.testing.assert_array_equal(weights["scaling.shares"], [np.float32(wanted.shares)])


@pytest.mark.slow
@pytest.mark.horovod
def test_the_bundle_names_the_treatment(trained):
    (feature,) = json.loads((trained / "bundle/model.json").read_text())["features"]["numeric"]
    assert (feature["transform"], feature["missing_indicator"]) == ("quantile", False)
