"""Numerics to network input: against numpy, at the edges of float32, and the same in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from camoe.bundle.graphs import export_heads
from camoe.contracts.features import FeatureSet
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import KNOTS, LARGEST, Knots, Moments, NumericScaling
from tests.model.specs import SPEC

FEATURES = FeatureSet.model_validate(
    {
        "categorical": [item.model_dump() for item in SPEC.features.categorical],
        "numeric": [
            {"name": "curved", "sql": "a", "transform": "quantile"},
            {"name": "plain", "sql": "b", "missing_indicator": False},
            {"name": "constant", "sql": "c", "transform": "quantile", "missing_indicator": False},
            {"name": "never", "sql": "d", "transform": "quantile"},
            {"name": "logged", "sql": "e", "transform": "log1p"},
        ],
    }
)
CURVE = Knots((-2.0, 0.0, 0.5, 100.0), (0.05, 0.4, 0.6, 0.99))
TREATMENTS = (CURVE, Moments(1.0, 2.0), Knots((7.0,), (0.5,)), Knots((), ()), Moments(0.5, 0.25))
NAN = float("nan")


def scaled(rows):
    return NumericScaling(FEATURES.numeric, TREATMENTS)(torch.tensor(rows, dtype=torch.float32)).numpy()


def test_columns_are_the_standardised_then_the_quantiles_then_the_indicators():
    assert NumericScaling(FEATURES.numeric, TREATMENTS).width == 2 + 3 + 3
    found = scaled([[0.25, 3.0, 7.0, 1.0, -1.0], [NAN, NAN, NAN, NAN, NAN], [1e9, 1e9, 8.0, NAN, 0.0]])
    log = (-np.log(2) - 0.5) / 0.25
    expected = [
        [1.0, log, 0.0, 0.0, 0.0, 0, 0, 0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1, 1, 1],
        [5.0, -2.0, np.sqrt(12) * 0.49, 0.0, 0.0, 0, 1, 0],
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)


WIDE = float(np.float32(1e30))
numbers = st.floats(-WIDE, WIDE, width=32, allow_subnormal=False)


@settings(deadline=None)
@given(st.lists(numbers, min_size=1, max_size=KNOTS, unique=True), st.lists(numbers, min_size=1, max_size=20))
def test_quantile_is_numpys_interpolation(knots, values):
    knots = tuple(sorted(float(np.float32(knot)) for knot in knots))
    shares = tuple(np.linspace(0.0, 1.0, len(knots)).tolist())
    features = FeatureSet.model_validate(
        {"numeric": [{"name": "x", "sql": "x", "transform": "quantile", "missing_indicator": False}]}
    )
    scaling = NumericScaling(features.numeric, [Knots(knots, shares)]).double()
    found = scaling(torch.tensor([[value] for value in values], dtype=torch.float64))[:, 0].numpy()
    expected = np.sqrt(12) * (np.interp(values, knots, shares) - 0.5)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_largest_numbers_stay_finite():
    wide = Knots((-float(np.float32(LARGEST)), float(np.float32(LARGEST))), (0.0, 1.0))
    features = FeatureSet.model_validate({"numeric": [{"name": "x", "sql": "x", "transform": "quantile"}]})
    most = float(np.finfo(np.float32).max)
    found = NumericScaling(features.numeric, [wide])(torch.tensor([[-most], [0.0], [most]]))[:, 0]
    np.testing.assert_allclose(found.numpy(), [-np.sqrt(3), 0.0, np.sqrt(3)], atol=1e-6)


def test_without_numerics_nothing_is_added():
    assert NumericScaling((), ())(torch.empty(3, 0)).shape == (3, 0)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(1)
    return Camoe(SPEC.model_copy(update={"features": FEATURES}), TREATMENTS).eval()


@pytest.mark.lengthy
def test_onnx_gives_what_torch_gives_at_any_batch_size(model, tmp_path):
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    export_heads(model, [tmp_path / "head.onnx"], tmp_path / "weights.safetensors", print)
    session = onnxruntime.InferenceSession(tmp_path / "head.onnx", providers=["CPUExecutionProvider"])
    random = np.random.default_rng(2)
    for rows in (1, 3, 500):
        numeric = (random.standard_cauchy((rows, 5)) * 3).astype(np.float32)
        numeric[random.random((rows, 5)) < 0.2] = np.nan
        categorical = random.integers(0, 6, (rows, 2))
        (found,) = session.run(None, {"categorical": categorical, "numeric": numeric})
        with torch.inference_mode():
            (logit,) = model.head_logits([0], torch.from_numpy(categorical), torch.from_numpy(numeric))
        np.testing.assert_allclose(found, torch.sigmoid(logit).numpy(), atol=1e-6)


def test_the_weights_file_holds_every_fitted_value(model, tmp_path):
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    blank = (Knots((), ()), Moments(0.0, 1.0), Knots((), ()), Knots((), ()), Moments(0.0, 1.0))
    other = Camoe(SPEC.model_copy(update={"features": FEATURES}), blank)
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    numeric = torch.tensor([[0.25, 3.0, 7.0, 1.0, -1.0], [50.0, -1.0, 9.0, NAN, 4.0]])
    torch.testing.assert_close(other.scaling(numeric), model.scaling(numeric), atol=0, rtol=0)
