"""The spec of a run's model: configuration, vocabularies, heads."""

from __future__ import annotations

from camoe.config.model import ModelConfig
from camoe.config.model_features import as_model_features
from camoe.contracts.encoder import FIRST, Encoder
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue
from camoe.model.parameters import with_matched_parameters
from camoe.model.spec import ModelSpec


def model_spec(
    model: ModelConfig, features: FeatureSet, heads: HeadSet, slots: SlotCatalogue, encoder: Encoder
) -> ModelSpec:
    """Return the spec of a model for rows that `encoder` wrote.

    Raises:
        ConfigError: a head selects a value that is not in the vocabulary.
    """
    spec = ModelSpec(
        model=model,
        features=as_model_features(features),
        heads=heads,
        slots=slots,
        vocabulary_sizes=tuple(encoder.column_sizes(features).values()),
        head_indices=_head_indices(heads, encoder),
        hidden=encoder.column_hidden(features),
    )
    return with_matched_parameters(spec)


def _head_indices(heads: HeadSet, encoder: Encoder) -> tuple[int, ...]:
    if heads.column is None:
        return ()
    known, shown = encoder.values[heads.column], encoder.shown(heads.column)
    missing = [value for value in heads.values if value not in shown]
    if missing:
        raise ConfigError(
            f"a head selects {heads.column} '{missing[0]}', which the training days have too rarely for the "
            "vocabulary; correct the heads file or lower the feature's min_count"
        )
    return tuple(FIRST + known.index(value) for value in heads.values)
