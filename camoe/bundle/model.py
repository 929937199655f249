"""The model of a bundle as a PyTorch module again, for what its graphs do not give: gates and experts."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors.torch import load
from torch import Tensor

from camoe.bundle.manifest import WEIGHTS, Bundle
from camoe.model.camoe import Camoe
from camoe.model.ensemble import Model, ensemble_of, keep_experts
from camoe.model.layers.scaling import Knots, Moments
from camoe.model.spec import ModelSpec


def read_module(bundle: Bundle) -> Model:
    """Return the model of `bundle`, on the CPU and in eval mode.

    Raises:
        BundleError: its weights are not the file that training wrote.
    """
    spec = bundle.spec
    model = ensemble_of([_fresh(spec) for _ in range(spec.members)])
    model.load_state_dict(load(bundle.read(WEIGHTS)))
    keep_experts(model, spec.kept_experts)
    return model.eval()


def module_of(spec: ModelSpec, weights: Mapping[str, Tensor] | None = None) -> Camoe:
    """Return the single model of `spec` with these weights, scaling of numerics among them; fresh without any."""
    model = _fresh(spec)
    if weights is not None:
        model.load_state_dict(weights)
    keep_experts(model, spec.kept_experts)
    return model.eval()


def _fresh(spec: ModelSpec) -> Camoe:
    # What was fitted comes with the weights.
    scaling = [Knots((), ()) if one.transform == "quantile" else Moments(0.0, 1.0) for one in spec.features.numerics]
    return Camoe(spec, scaling)
