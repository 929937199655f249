"""The model of a bundle as a PyTorch module again, for what its graphs do not give: gates and experts."""

from __future__ import annotations

from safetensors.torch import load

from camoe.bundle.manifest import WEIGHTS, Bundle
from camoe.model.camoe import Camoe
from camoe.model.ensemble import Model, ensemble_of, keep_experts
from camoe.model.layers.scaling import Knots, Moments


def read_module(bundle: Bundle) -> Model:
    """Return the model of `bundle`, on the CPU and in eval mode.

    Raises:
        BundleError: its weights are not the file that training wrote.
    """
    spec = bundle.spec
    # What was fitted comes with the weights.
    scaling = [Knots((), ()) if one.transform == "quantile" else Moments(0.0, 1.0) for one in spec.features.numerics]
    model = ensemble_of([Camoe(spec, scaling) for _ in range(spec.members)])
    model.load_state_dict(load(bundle.read(WEIGHTS)))
    keep_experts(model, spec.kept_experts)
    return model.eval()
