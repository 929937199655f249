"""Starting from the weights of an earlier model whose vocabularies may have grown since."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import torch
from safetensors.torch import load
from torch import Tensor

from camoe.bundle.manifest import ENCODER, TABLE, WEIGHTS, open_bundle
from camoe.bundle.published import fetched
from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import TrainingError
from camoe.contracts.features import FeatureSet
from camoe.model.camoe import Camoe
from camoe.model.spec import ModelSpec


def warm_start(model: Camoe, spec: ModelSpec, encoder: Encoder, bundle: Path) -> None:
    """Give `model` of `spec` the weights and the scaling of `bundle`.

    A value of its vocabularies keeps its embedding; one that `encoder` has gained keeps its fresh one.

    Raises:
        BundleError, EncoderError: the bundle is missing or damaged.
        TrainingError: its features, their treatment, heads, their order or widths are others, or its vocabularies are
            not the beginning of these.
    """
    opened = open_bundle(fetched(bundle))
    old = opened.spec
    if old.members > 1:
        raise TrainingError(f"{bundle} is an ensemble of {old.members} models; start from the bundle of a single one")
    _require_alike(bundle, spec, old)
    if not encoder.continues(encoders.read(opened.folder / ENCODER)):
        raise TrainingError(f"the vocabularies of {bundle} are not continued by encoder version {encoder.version}")
    weights = load(opened.read(WEIGHTS))
    own = model.state_dict()
    weights[TABLE] = grown(own[TABLE], spec.vocabulary_sizes, weights[TABLE], old.vocabulary_sizes)
    wrong = sorted(name for name in {*own, *weights} if _shape(own, name) != _shape(weights, name))
    if wrong:
        raise TrainingError(
            f"the model of {bundle} has other weights: {wrong[0]} has shape {_shape(weights, wrong[0])} there and "
            f"{_shape(own, wrong[0])} here; train without training.warm_start"
        )
    model.load_state_dict(weights)


def grown(fresh: Tensor, sizes: tuple[int, ...], table: Tensor, old_sizes: tuple[int, ...]) -> Tensor:
    """Copy the rows of `table` into `fresh`, column by column; a column's `sizes` are no fewer than `old_sizes`.

    Shapes: `[sum(sizes), D]` and `[sum(old_sizes), D]`.
    """
    starts = accumulate(sizes, initial=0)
    old_starts = accumulate(old_sizes, initial=0)
    with torch.no_grad():
        for start, old_start, rows in zip(starts, old_starts, old_sizes, strict=False):
            fresh[start : start + rows] = table[old_start : old_start + rows].to(fresh.dtype)
    return fresh


def _require_alike(bundle: Path, spec: ModelSpec, old: ModelSpec) -> None:
    here, there = _learned(spec), _learned(old)
    if here != there:
        raise TrainingError(f"{bundle} has other heads than this run: {there} there, {here} here")
    # A head's weights are found by its place.
    if list(here) != list(there):
        raise TrainingError(
            f"{bundle} has the same heads as this run in another order: {', '.join(there)} there, {', '.join(here)} "
            "here; list them as there"
        )
    if not spec.features.same_as(old.features) or spec.model.embedding_dim != old.model.embedding_dim:
        raise TrainingError(f"{bundle} was trained on other features or embedding widths than this run's")
    _require_same_transforms(bundle, spec.features, old.features)
    if any(now < before for now, before in zip(spec.vocabulary_sizes, old.vocabulary_sizes, strict=True)):
        raise TrainingError(f"{bundle} knows more values of a feature than this run's encoder")


def _require_same_transforms(bundle: Path, features: FeatureSet, old: FeatureSet) -> None:
    """Compare what the schema's hash leaves out: weights fit both treatments, and the scaling is the bundle's."""
    here, there = _transform(features), _transform(old)
    changed = [f"{name} is {there[name]} there and {here[name]} here" for name in here if here[name] != there[name]]
    if changed:
        raise TrainingError(
            f"{bundle} treats features otherwise than this run: {'; '.join(changed)}; treat them as there, or train "
            "without training.warm_start"
        )


def _learned(spec: ModelSpec) -> dict[str, str]:
    """Return by head what it learns from which rows. The weight of its loss may change."""
    return {head.name: f"{head.objective} where {head.where or 'any'}" for head in spec.heads.heads}


def _transform(features: FeatureSet) -> dict[str, str]:
    """Return by setting of a feature what the model makes of its raw column."""
    transforms = {f"the transform of {item.name}": item.transform for item in features.numerics}
    indicators = {f"the missing_indicator of {item.name}": str(item.missing_indicator) for item in features.numerics}
    poolings = {f"the pooling of {item.name}": item.pooling for item in features.sequences}
    decays = {f"the decay_s of {item.name}": str(item.decay_s) for item in features.sequences}
    return transforms | indicators | poolings | decays


def _shape(tensors: dict[str, Tensor], name: str) -> tuple[int, ...]:
    return tuple(tensors[name].shape) if name in tensors else ()
