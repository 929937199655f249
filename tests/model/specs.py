"""The small model of the tests, and a configuration of each kind of model."""

from __future__ import annotations

from pydantic import TypeAdapter

from camoe.config.model import CamoeConfig, DcnConfig, ModelConfig
from camoe.config.model_features import ModelFeatures
from camoe.contracts.features import Categorical, FeatureSet, Numeric
from camoe.contracts.heads import Head, HeadSet
from camoe.contracts.slots import Slot, SlotCatalogue
from camoe.model.layers.scaling import Moments
from camoe.model.spec import ModelSpec

SLOTS = SlotCatalogue(
    slots=(
        Slot(id="a", name="A", modality="audio"),
        Slot(id="b", name="B", modality="audio"),
        Slot(id="v", name="V", modality="video"),
    )
)
HEADS = HeadSet(
    heads=(
        Head(name="audio", objective="click", where={"modality": ("audio",)}),
        Head(name="video", objective="click", where={"modality": ("video",)}, weight=2.0),
    )
)
FEATURES = FeatureSet(
    categorical=(Categorical(name="x", sql="x"), Categorical(name="y", sql="y")),
    numeric=(Numeric(name="u", sql="u"), Numeric(name="w", sql="w", transform="log1p")),
)
SPEC = ModelSpec(
    model=CamoeConfig(embedding_dim=3, experts=2, expert=DcnConfig(cross_layers=2, hidden=(5, 4)), tower_hidden=(3,)),
    features=ModelFeatures.of(FEATURES),
    heads=HEADS,
    slots=SLOTS,
    vocabulary_sizes=(6, 9),
)
MOMENTS = (Moments(mean=1.0, std=2.0), Moments(mean=0.5, std=0.25))

SMALL = {"embedding_dim": 3, "tower_hidden": [3]}
DCN = {"kind": "dcn", "cross_layers": 2, "hidden": [5, 4]}
MLP = {"kind": "mlp", "hidden": [5, 4]}
KINDS: dict[str, dict[str, object]] = {
    "camoe": {"experts": 3, "expert": DCN},
    "camoe-stacked-low-rank": {"experts": 2, "expert": DCN | {"structure": "stacked", "rank": 2}, "tower_hidden": []},
    "camoe-mlp-experts": {"experts": 2, "expert": MLP},
    "mmoe": {"kind": "mmoe", "experts": 3, "expert_hidden": [5, 4]},
    "ple": {"kind": "ple", "own_experts": 1, "shared_experts": 2, "expert": MLP},
    "ple-two-layers": {"kind": "ple", "layers": 2, "own_experts": 2, "shared_experts": 1, "expert": DCN},
    "shared-bottom": {"kind": "shared_bottom", "hidden": [6, 5]},
    "logistic": {"kind": "shared_bottom", "hidden": [], "tower_hidden": []},
    "dcn": {"kind": "dcn", "network": DCN, "tower_hidden": []},
    "dcn-stacked-low-rank": {"kind": "dcn", "network": DCN | {"structure": "stacked", "rank": 3, "cross_layers": 3}},
}


def config_of(name: str, **changes: object) -> ModelConfig:
    """Return the small model of a kind of `KINDS`, with changes."""
    return TypeAdapter(ModelConfig).validate_python(SMALL | KINDS[name] | changes)
