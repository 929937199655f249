"""Experts that a head can do without: those that add little to it, and those that say what another one says."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from camoe.contracts.errors import ConfigError
from camoe.model.camoe import Camoe
from camoe.model.networks.mixture import MixtureOfExperts
from camoe.model.spec import ModelSpec
from camoe.train.loop.served import most_used

ByHead = tuple[tuple[int, ...], ...]


def chosen(
    contribution: Tensor, alike: Tensor, used: Sequence[Sequence[int]], wanted: int | float | None, bound: float
) -> ByHead:
    """Return the experts that each head keeps, of those that it has `used` so far.

    First goes, of two whose outputs have a correlation of `bound` or more (below 1), the one of the smaller
    contribution; then all but `wanted`, see `most_used`.

    Args:
        contribution: `[H, K]`.
        alike: `[K, K]`.
    """
    return tuple(_of_head(row, alike, own, wanted, bound) for row, own in zip(contribution.tolist(), used, strict=True))


def _of_head(
    contribution: list[float], alike: Tensor, used: Sequence[int], wanted: int | float | None, bound: float
) -> tuple[int, ...]:
    left = list[int]()
    for expert in sorted(used, key=lambda one: -contribution[one]):
        if bound == 1 or all(alike[expert, other] < bound for other in left):
            left.append(expert)
    if wanted is None:
        return tuple(sorted(left))
    return tuple(sorted(left[place] for place in most_used([contribution[one] for one in left], wanted)))


def mixture_of(model: Camoe, spec: ModelSpec) -> MixtureOfExperts:
    """Return the experts that all heads of `model` share. Raises `ConfigError` when it has none."""
    if not isinstance(model.body, MixtureOfExperts):
        raise ConfigError(
            f"compress.experts and compress.alike cut experts that heads share; {spec.model.kind} has none"
        )
    return model.body


def without_experts(model: Camoe, spec: ModelSpec, kept: ByHead) -> tuple[dict[str, Tensor], ModelSpec]:
    """Return the weights and the spec of `model` with the experts alone that a head of it keeps; see `chosen`."""
    mixture_of(model, spec)
    left = sorted({expert for of_head in kept for expert in of_head})
    place = {expert: number for number, expert in enumerate(left)}
    weights = dict[str, Tensor]()
    for name, value in model.state_dict().items():
        part, _, rest = name.removeprefix("body.").partition(".")
        if name.startswith("body.experts."):
            number, _, rest = rest.partition(".")
            if int(number) in place:
                weights[f"body.experts.{place[int(number)]}.{rest}"] = value
        else:
            weights[name] = value[left] if part == "gates" else value
    mine = tuple(tuple(place[expert] for expert in of_head) for of_head in kept)
    cut = any(len(of_head) < len(left) for of_head in mine)
    changed = {"model": spec.model.model_copy(update={"experts": len(left)}), "kept_experts": (mine,) if cut else ()}
    return weights, spec.model_copy(update=changed)
