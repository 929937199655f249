"""All that is cut from a model: experts, columns of embeddings, rare rows; in this order."""

from __future__ import annotations

from camoe.bundle.model import module_of
from camoe.compress.columns import without_columns
from camoe.compress.experts import chosen, mixture_of, without_experts
from camoe.compress.rows import without_rows
from camoe.compress.usage import Usage
from camoe.config.compress import CompressConfig
from camoe.model.camoe import Camoe
from camoe.model.spec import ModelSpec


def cut(model: Camoe, spec: ModelSpec, usage: Usage, config: CompressConfig) -> tuple[Camoe, ModelSpec]:
    """Return `model` and `spec` without what `config` says, by the `usage` of its parts.

    Raises:
        ConfigError: the model does not have such parts.
    """
    if config.experts is not None or config.alike < 1:
        used = mixture_of(model, spec).kept
        kept = chosen(usage.contribution, usage.alike, used, config.experts, config.alike)
        weights, spec = without_experts(model, spec, kept)
        model = module_of(spec, weights)
    if config.embedding_dim is not None:
        weights, spec = without_columns(model, spec, usage.spread, config.embedding_dim)
        model = module_of(spec, weights)
    if config.min_rows:
        weights, spec = without_rows(model.state_dict(), spec, usage.looked_up, config.min_rows)
        model = module_of(spec, weights)
    return model, spec
